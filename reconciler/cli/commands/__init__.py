"""One file per command, named as the user types it; `COMMAND` is a function or a Typer app."""
