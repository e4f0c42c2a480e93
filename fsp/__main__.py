"""Run the command line with ``python -m fsp``."""

from fsp.cli import main

main()
