"""The command line: parse, call one function, print. One file for each noun."""
