"""The tasks, one file each. A module here names its class as `TASK`."""
