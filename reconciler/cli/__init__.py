"""The command line: one file of `commands/` per command, each offering COMMAND."""
