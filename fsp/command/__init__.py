"""The `fsp` command, a file for each subcommand: the only home of click and rich."""
