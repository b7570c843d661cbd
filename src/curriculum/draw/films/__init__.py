"""Moving pictures, one file each. A module here, or in a task's room, names its picture as `FILM`."""
