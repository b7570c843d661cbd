"""The moving picture of the task `control`."""
