"""One page: a self-contained HTML file that shows stored runs and what was found of them."""
