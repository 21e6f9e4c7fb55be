"""GitOps for FreeBSD jails: compare YAML specs with a host, plan, and converge."""

import sys

__version__ = "0.1.0"

# httpx takes its own command line along, with rich and pygments, where those are there: 6 MB that an agent keeps.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
