"""A run's plain files: the only place that knows their names and keys."""
