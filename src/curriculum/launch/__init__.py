"""Where the blocks of an experiment are trained: launchers, and the one loop that drives them."""
