"""The figures that are special to the task `control`, one file each."""
