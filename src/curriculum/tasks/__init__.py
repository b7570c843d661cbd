"""The tasks, a room each, with their own measures and pictures. A room names its task as `TASK` in `task.py`."""
