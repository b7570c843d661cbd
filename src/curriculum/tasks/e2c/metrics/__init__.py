"""The measures of the task `e2c`, one file each. A module here names its measure as `METRIC`."""
