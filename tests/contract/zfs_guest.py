"""Runs the suite of the Datasets facet on the pool $POOL of this machine, and prints a table.

For a machine with real OpenZFS that may be thrown away: see tests/zfs/run. Ends with status 1 when a
check failed.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from datasets import CHECKS, Place

from reconciler.hosts.freebsd.host import FreeBSDHost
from reconciler.hosts.freebsd.run import LocalRunner


def main() -> int:
    """Run every check; the wanted ones when names are given."""
    pool = os.environ["POOL"]
    libraries = os.environ.get("LD_LIBRARY_PATH", "")
    runner = LocalRunner(path=os.environ["PATH"].split(":"), env=[("LD_LIBRARY_PATH", libraries)])
    host = FreeBSDHost(runner, jailed=sys.platform.startswith("freebsd"))
    place = Place(host, f"{pool}/contract", f"/{pool}/contract", runner)
    host.datasets.create(place.dataset, {"mountpoint": place.mountpoint})
    failed = 0
    for function in CHECKS:
        if sys.argv[1:] and function.__name__ not in sys.argv[1:]:
            continue
        try:
            function(place)
        except Exception:
            failed += 1
            print(f"FAIL  {function.__name__}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"pass  {function.__name__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
