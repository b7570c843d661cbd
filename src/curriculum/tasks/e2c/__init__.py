"""The parts of the task `e2c`: its settings and model, and what is examined of a model."""
