"""Other forms of the scripts: functions that take the place of the scripts' own.

Each takes the script as its first argument. processes.py is a script of its own.
"""
