"""The gates of the color task, one file each. A module here names its measure as `METRIC`."""
