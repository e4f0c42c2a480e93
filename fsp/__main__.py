"""Run the command line with ``python -m fsp``."""

from fsp.command.main import main

main()
