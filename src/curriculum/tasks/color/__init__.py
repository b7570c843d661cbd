"""The color task: an autoencoder learns RGB colors through a narrow bottleneck."""
