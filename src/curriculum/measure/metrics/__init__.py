"""Measures that suit any task, one file each. A module here names its measure as `METRIC`."""
