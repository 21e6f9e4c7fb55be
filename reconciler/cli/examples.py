"""Lines that a user can type, for the end of each command's help, the manual page and the documentation."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, tuple[str, ...]] = {
    "agent": ("reconcile agent --check", "reconcile agent --once"),
    "apply": ("reconcile apply", "reconcile apply --only web --host ssh://root@jails1.example.org",
              "reconcile apply --plan today.plan"),
    "approve": ("reconcile approve", "reconcile approve 3f2a91 --allow-prune"),
    "build": ("reconcile build web", "reconcile build web --keep-failed"),
    "completion": ('eval "$(reconcile completion bash)"', "reconcile completion zsh > _reconcile"),
    "demo": ("reconcile demo /tmp/demo",),
    "destroy": ("reconcile destroy web", "reconcile destroy web/uploads"),
    "drift": ("reconcile drift", "reconcile drift --deep --only web"),
    "exec": ("reconcile exec web -- service nginx status", "reconcile exec -i web -- sh -i"),
    "explain": ("reconcile explain undeclared-changes", "reconcile explain web"),
    "gc": ("reconcile gc --dry-run",),
    "history": ("reconcile history --limit 3", "reconcile history web"),
    "lock": ("reconcile lock", "reconcile lock --check", "reconcile lock specs --update nginx"),
    "makejail args": ("reconcile makejail args Makejail -- --port 8080",),
    "makejail compile": ("reconcile makejail compile Makejail",
                         "reconcile makejail compile Makejail --stop-after include"),
    "makejail format": ("reconcile makejail format --check Makejail",),
    "makejail lint": ("reconcile makejail lint Makejail",),
    "makejail tokens": ("reconcile makejail tokens 'CMD echo \"two words\"'",),
    "package build": ("reconcile package build web --name nginx --version 1.28 --out packages",),
    "package convert": ("reconcile package convert a.txz --name a --version 1 --release 11.0-RELEASE --patch-level 0",),
    "package diff": ("reconcile package diff old.tar.xz new.tar.xz",),
    "package export": ("reconcile package export nginx",),
    "package import": ("reconcile package import web --name web --version 1",),
    "package list": ("reconcile package list", "reconcile package list packages"),
    "package pull": ("reconcile package pull https://packages.example.org/nginx-1.28_15.1-RELEASE-p1_amd64.tar.xz",),
    "package push": ("reconcile package push nginx /srv/packages",),
    "package record discard": ("reconcile package record discard web",),
    "package record start": ("reconcile package record start web",
                             "reconcile package record start web --method unionfs --restart"),
    "package record stop": ("reconcile package record stop web",),
    "package show": ("reconcile package show --files nginx-1.28_15.1-RELEASE-p1_amd64.tar.xz",),
    "package sign": ("reconcile package sign nginx-1.28_15.1-RELEASE-p1_amd64.tar.xz --key ~/.ssh/id_ed25519",),
    "package verify": ("reconcile package verify nginx-1.28_15.1-RELEASE-p1_amd64.tar.xz",),
    "plan": ("reconcile plan", "reconcile plan --out today.plan", "reconcile plan --only web --detailed-exitcode"),
    "release fetch": ("reconcile release fetch 15.1-RELEASE", "reconcile release fetch 15.1-RELEASE --set lib32"),
    "release list": ("reconcile release list",),
    "render": ("reconcile render", "reconcile render specs --host-name jails1.example.org"),
    "resume": ("reconcile resume web --dry-run", "reconcile resume --all"),
    "run": ("reconcile run web", "reconcile run web --stage custom:backup -- --to /backup"),
    "sandbox boot": ("reconcile sandbox boot --host sandbox:DIR",),
    "sandbox reboot": ("reconcile sandbox reboot --host sandbox:DIR",),
    "sandbox shims": ("reconcile sandbox shims bin --host sandbox:DIR",),
    "sandbox shutdown": ("reconcile sandbox shutdown --host sandbox:DIR",),
    "schema": ("reconcile schema --out schemas",),
    "status": ("reconcile status", "reconcile status web", "reconcile status --check"),
    "suspend": ('reconcile suspend web --reason "disk test, ask Kim"', "reconcile suspend --all --reason move"),
    "undelete": ("reconcile undelete web",),
    "validate": ("reconcile validate", "reconcile validate specs/web.yaml"),
    "why-not": ("reconcile why-not web",),
}  # fmt: skip


def put(command: Any, words: str = "") -> None:
    """End the help of a command, and of those below it, with its examples."""
    lines = EXAMPLES.get(words, ())
    if lines:
        # \b keeps click from filling the lines as it does with prose
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
    for name, inner in getattr(command, "commands", {}).items():
        put(inner, f"{words} {name}".strip())
