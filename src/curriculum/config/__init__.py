"""What is trained: settings, frozen and checked."""
