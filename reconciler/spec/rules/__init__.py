"""One file per subject; each offers CHECK: a View in, diagnostics out."""
