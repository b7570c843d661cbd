"""An experiment runner for curriculum training."""
