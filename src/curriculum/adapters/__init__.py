"""A schedule in the training of others: one small file for each framework, which is imported only there."""
