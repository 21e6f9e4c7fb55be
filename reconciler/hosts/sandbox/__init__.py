"""An embedded host in one folder: answers FreeBSD's command lines from state on disk."""
