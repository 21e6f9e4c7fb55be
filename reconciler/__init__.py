"""GitOps for FreeBSD jails: compare YAML specs with a host, plan, and converge."""

__version__ = "0.1.0"
