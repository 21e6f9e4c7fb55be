"""The verbs of `reconcile package`: one file each, offering `VERB`, a function as a command is, or a `typer.Typer`.

Underscores are typed as dashes; one at the end, for what Python means otherwise (`import_`), is not typed.
"""
