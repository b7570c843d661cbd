"""The parts of the task `control`: the systems that are steered, the network, and the ways back through their steps."""
