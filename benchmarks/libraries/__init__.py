"""Other libraries for the scripts: functions that replace those of the scripts.

Each takes the script as its first argument.
"""
