"""What each tool of Python's concurrency costs on this machine: one repetition, measured in one process."""
