"""Run clients against a server in child processes, and record what each run took."""
