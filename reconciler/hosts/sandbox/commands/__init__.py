"""One file per command the sandbox answers; each offers `COMMAND`."""
