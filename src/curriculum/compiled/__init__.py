"""Training steps as compiled code: traced from the steps as they are, built by PyTorch's compiler, kept on disk."""
