"""Other libraries for the scripts: functions that take the place of the scripts' own.

Each takes the script as its first argument.
"""
