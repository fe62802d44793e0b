"""`python -m launcher` is `deepcredit`."""

from launcher.cli import main

main()
