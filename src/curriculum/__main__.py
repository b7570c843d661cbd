"""`python -m curriculum`."""

from curriculum.cli.app import main

main()
