"""Other forms of the scripts: functions that replace those of the scripts.

Each takes the script as its first argument. processes.py is a script of its own.
"""
