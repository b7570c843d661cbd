"""A schedule in a training loop of your own: files are read here, and nothing of PyTorch is imported."""
