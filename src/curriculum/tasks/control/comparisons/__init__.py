"""Figures of several runs that are special to the task `control`, one file each, under the name of the figure of one run."""
