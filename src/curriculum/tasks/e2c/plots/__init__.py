"""The figures that are special to the task `e2c`, one file each."""
