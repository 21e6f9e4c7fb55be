"""The story of `reconcile demo`: real command lines on an embedded host, and what has to come out of each."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cli.paper import paper
from reconciler.releases.eol import TABLE_DATE
from reconciler.today import VARIABLE

_MARK = ".made-by-reconcile-demo"
_WIDTH = 98
_LINES = 48  # longer output is shown by its beginning and its end; the whole of it is kept in a file
_HEAD, _TAIL = 12, 8
_UPLOADS = "zroot/reconciler/volumes/site/uploads"


class Unexpected(Exception):
    """A command did not do what the demo claims."""


@dataclass
class Stage:
    """A folder with a host, specs and programs, and what was run in it so far."""

    folder: Path
    count: int = 0
    began: float = field(default_factory=time.monotonic)

    def chapter(self, title: str, text: str) -> None:
        """Say what comes next, and why."""
        on = paper()
        print(f"\n{on.ink(f'== {title} '.ljust(_WIDTH, '='), 'bold')}", flush=True)
        print(textwrap.fill(text, _WIDTH), flush=True)

    def reconcile(self, *argv: str, status: int = 0, shows: tuple[str, ...] = ()) -> str:
        """Run the tool on the host. Raises Unexpected."""
        program = [sys.executable, "-m", "reconciler.cli.main"]
        return self._run(shlex.join(["reconcile", *argv]), [*program, *argv], status, shows)

    def host(self, program: str, *argv: str, shows: tuple[str, ...] = ()) -> str:
        """Run a program of the host itself, as its administrator would. Raises Unexpected."""
        path = self.folder / "bin" / program
        return self._run(shlex.join([str(path), *argv]), [str(path), *argv], 0, shows)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a spec, and show the change. Raises Unexpected when `old` is not in it."""
        path = self.folder / "specs" / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise Unexpected(f"{path} does not say {old!r}; the demo is made for the example fleet.")
        changed = text.replace(old, new)
        path.write_text(changed, encoding="utf-8")
        print(f"\n(edit {path})")
        for line in list(difflib.unified_diff(text.splitlines(), changed.splitlines(), n=0, lineterm=""))[3:]:
            print(f"  {paper().ink(line, 'green' if line.startswith('+') else 'red')}")

    def _run(self, shown: str, argv: list[str], status: int, shows: tuple[str, ...]) -> str:
        self.count += 1
        print(f"\n{paper().ink(f'$ {shown}', 'bold')}", flush=True)
        done = subprocess.run(
            argv, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
        )
        log = self.folder / "output" / f"{self.count:02}.txt"
        log.write_text(f"$ {shown}\n{done.stdout}", encoding="utf-8")
        _show(done.stdout, log)
        if done.returncode != status:
            print("\n".join(f"  | {line}" for line in done.stdout.splitlines()[-_LINES:]), file=sys.stderr)
            raise Unexpected(f"`{shown}` ended with status {done.returncode}, not {status}. Its output: {log}")
        for pattern in shows:
            if not re.search(pattern, done.stdout, re.MULTILINE):
                raise Unexpected(f"`{shown}` did not say {pattern!r}. Its output: {log}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        own = {
            "RECONCILER_HOST": f"sandbox:{self.folder / 'host'}",
            "RECONCILER_JOURNAL": str(self.folder / "journal.db"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            # The example fleet's releases have their ends of life; the story stays the same when they are past.
            VARIABLE: TABLE_DATE.isoformat(),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        return {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")} | own


def is_demo(folder: Path) -> bool:
    """Whether an earlier demo made this folder, so that it may be removed."""
    return (folder / _MARK).is_file()


def run(folder: Path, specs: Path) -> int:
    """Tell the whole story in `folder`, on a copy of `specs`; 1 when something was not as claimed."""
    stage = Stage(folder)
    if folder.exists():
        _remove(stage)
    (folder / "output").mkdir(parents=True)
    (folder / _MARK).touch()
    shutil.copytree(specs, folder / "specs")
    try:
        _story(stage)
    except Unexpected as failed:
        print(f"\nThe demo failed: {failed}", file=sys.stderr)
        return 1
    _farewell(stage)
    return 0


def _story(stage: Stage) -> None:
    specs = str(stage.folder / "specs")
    print(f"The host is simulated and lives in {stage.folder / 'host'}; it answers FreeBSD's own command lines.")
    print(f"Every command below is run as it stands, with RECONCILER_HOST=sandbox:{stage.folder / 'host'}")
    for chapter in (_from_nothing, _drifted, _replaced, _rolled_back, _rebooted):
        chapter(stage, specs)


def _from_nothing(stage: Stage, specs: str) -> None:
    stage.chapter(
        "1. From nothing",
        "The specs describe eight jails, two releases and a package. The host has a pool with nothing in it. A plan "
        "is what apply would do: it is computed from what the host shows, and planning changes nothing.",
    )
    stage.reconcile("sandbox", "shims", str(stage.folder / "bin"))
    stage.host("freebsd-version", shows=(r"^\d+\.\d-RELEASE",))
    stage.host("sysrc", "zfs_enable=YES", shows=(r"zfs_enable: .*-> YES",))
    stage.host("zfs", "list", shows=(r"^zroot ",))
    stage.reconcile("plan", specs, shows=(r"^Plan: \d+ to create, 0 to change, 0 to remove\.",))
    stage.reconcile("apply", specs, shows=(r"^\d+ steps done\.", r"^No changes\. 8 jails are as their specs say\."))
    stage.chapter(
        "2. And then nothing",
        "A second plan observes the host again and finds nothing to do. There is no state file: what the tool knows, "
        "it reads from datasets, jails, mounts and rules. The programs of the host say the same.",
    )
    stage.reconcile("plan", specs, "--detailed-exitcode", shows=(r"^No changes\.",))
    stage.host("jls", shows=(r"/reconciler/live/site$", r"/reconciler/live/worker$"))


def _drifted(stage: Stage, specs: str) -> None:
    stage.chapter(
        "3. Somebody changes the host by hand",
        "A quota is raised, a limit is removed and a jail is stopped, behind the tool's back. `drift` shows it and "
        "exits with 2; apply puts right just that.",
    )
    stage.host("zfs", "set", "quota=9G", _UPLOADS)
    stage.host("rctl", "-r", "jail:cache:memoryuse")
    stage.host("jail", "-f", "/reconciler/jails/old/jail.conf", "-r", "old")
    gone = r"limits/cache:memoryuse:deny +it is gone"
    stage.reconcile("drift", specs, status=2, shows=(r"quota: 1G → 9G", gone, r"jail/old +it is gone"))
    stage.reconcile("apply", specs, shows=(r"^3 steps done\.", r"^No changes\."))
    stage.host("zfs", "get", "-H", "-o", "value", "quota", _UPLOADS, shows=(r"^1G$",))
    stage.reconcile("drift", specs, shows=(r"^No drift\.",))


def _replaced(stage: Stage, specs: str) -> None:
    stage.chapter(
        "4. A changed spec replaces a root",
        "The jail `site` writes into its volume; then an argument of its Makejail changes. Only the last of six "
        "build steps runs again. The new root is built beside the old one, the jail is stopped, pointed at root 2, "
        "started and checked. The volume is not touched.",
    )
    note = "/usr/local/www/uploads/note"
    stage.reconcile("exec", "site", "--", "sh", "-c", f"echo written by the jail > {note}")
    stage.edit("site.yaml", "title: Example site", "title: Our site")
    stage.reconcile("plan", specs, shows=(r"root 1 → 2", r"Interrupted: site \(restart\)\. 7 jails unchanged\."))
    stage.reconcile("apply", specs, shows=(r"^No changes\.",))
    stage.reconcile("exec", "site", "--", "cat", "/usr/local/www/site.conf", note, shows=(r"Our site", r"by the jail"))


def _rolled_back(stage: Stage, specs: str) -> None:
    stage.chapter(
        "5. A change that does not work is taken back",
        "The next change asks for a page that nobody copies into the jail. The new root starts, its health check "
        "fails three times, and the jail is put back to root 2 with the configuration that belonged to it.",
    )
    stage.edit("site.yaml", "title: Our site", "title: Our new site")
    stage.edit("site.yaml", "www/index.html]", "www/status.html]")
    stage.reconcile("apply", specs, status=4, shows=(r"health-check-failed", r"rolled-back"))
    stage.reconcile("exec", "site", "--", "cat", "/usr/local/www/site.conf", shows=(r"title=Our site$",))
    stage.chapter(
        "6. And it stays back",
        "The rejected root is held: the next apply says so and does nothing, instead of breaking the jail again. "
        "A changed spec (or --retry) is a new attempt; here the check is put right.",
    )
    stage.reconcile("apply", specs, status=4, shows=(r"! held: ", r"1 jail cannot be brought to its spec now"))
    stage.edit("site.yaml", "www/status.html]", "www/index.html]")
    stage.reconcile("apply", specs, shows=(r"^No changes\. 8 jails are as their specs say\.",))
    stage.reconcile("exec", "site", "--", "cat", "/usr/local/www/site.conf", shows=(r"Our new site",))


def _rebooted(stage: Stage, specs: str) -> None:
    stage.chapter(
        "7. The host reboots without the tool",
        "Each jail has its own jail.conf, fstab and hooks in the pool; an rc script of plain sh starts them in the "
        "order of depends_on. The tool takes no part in it.",
    )
    stage.reconcile("sandbox", "reboot", shows=(r"^worker: created", r"^The host has booted\."))
    stage.reconcile("status", "--specs", specs, shows=(r"^site +running",))
    stage.reconcile("plan", specs, "--detailed-exitcode", shows=(r"^No changes\.",))


def _farewell(stage: Stage) -> None:
    took = time.monotonic() - stage.began
    where = f"--host sandbox:{stage.folder / 'host'}"
    specs = stage.folder / "specs"
    tool = _tool()
    stage.chapter(
        f"Done: {stage.count} commands in {took:.0f} s, and each did what was said.",
        f"The host is still there, and its jails run. Whole outputs are in {stage.folder / 'output'}.",
    )
    print(
        f"""
  {tool} status --specs {specs} {where}
  {tool} exec site {where} -- ls -l /usr/local/www
  {stage.folder}/bin/zfs list -r -o name,used,quota,mountpoint zroot
  {tool} plan {specs} {where}          # after an edit in {specs}
  {tool} sandbox shutdown {where}      # stop its jails"""
    )


def _tool() -> str:
    """How to call the tool from this shell."""
    found = shutil.which("reconcile")
    if found:
        return "reconcile"
    beside = Path(sys.executable).with_name("reconcile")
    return os.path.relpath(beside) if beside.exists() else f"{sys.executable} -m reconciler.cli.main"


def _remove(stage: Stage) -> None:
    """An earlier demo: end its jails, then let it go."""
    from reconciler.hosts.sandbox import rc
    from reconciler.hosts.sandbox.content import remove_tree
    from reconciler.hosts.sandbox.machine import Machine

    if (stage.folder / "host" / "state.db").exists():
        rc.shutdown(Machine(stage.folder / "host"))
    remove_tree(stage.folder)


def _show(output: str, log: Path) -> None:
    lines = output.splitlines()
    if len(lines) > _LINES:
        left = len(lines) - _HEAD - _TAIL
        between = paper().ink(f"  [{left} more lines: {log}]", "dim")
        lines = [*lines[:_HEAD], between, *lines[-_TAIL:]]
    for line in lines:
        print(f"  {line}".rstrip())
    sys.stdout.flush()

