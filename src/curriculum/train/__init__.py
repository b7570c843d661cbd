"""Makes training happen: state in, events out, state back. No files."""
