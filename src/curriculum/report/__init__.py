"""One interactive page of stored runs: a file that opens offline, with the answer first and everything to look at below it."""
