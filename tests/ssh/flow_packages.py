"""Jail packages on a host that only ssh reaches: kept there, given back, and nothing made of one that is not signed.

Real ssh, real sshd, real ssh-keygen; behind the login lies the sandbox.
"""

import shutil
import subprocess

from reconciler.packages.inspect import opened
from reconciler.packages.write import build_package
from tests.packages.trees import CONTENTS, directory, file, manifest, of

CHANGE = of(directory("usr/local/etc"), file("usr/local/etc/nginx.conf", b"listen 80;\n", mode=0o640, gid=80))


def fleet(far, sha256: str) -> str:
    key = (far.folder / "builder.pub").read_text().strip()
    return f"""kind: Host
name: far
match: {{hostname: "*"}}
policy: {{packages: {{trusted_keys: ["{key}"], require_signature: true}}}}
---
kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {far.mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
patch_level: 0
state: stopped
packages: [{{name: nginx, source: made.tar.xz, digest: "sha256:{sha256}"}}]
"""


def test_a_package_is_believed_kept_and_given_back_over_ssh(far):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", far.folder / "builder"], check=True)
    made = build_package(far.folder, manifest(CHANGE, patch_levels=(0, None)), lambda entry: [CONTENTS[entry.sha256]])
    archive = far.specs / "made.tar.xz"
    shutil.copy(made.path, archive)
    far.write(fleet(far, made.sha256))

    refused = far.run("apply", "specs")
    assert refused.status != 0 and "package-unsigned" in refused.out + refused.err
    assert "layers/" not in far.inside("zfs list -H -o name -r zroot")

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", far.folder / "other"], check=True)
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "reconciler-package", "-f"]
    subprocess.run([*sign, far.folder / "other", archive], check=True)
    refused = far.run("apply", "specs")
    assert refused.status != 0 and "package-signature" in refused.out + refused.err
    assert "layers/" not in far.inside("zfs list -H -o name -r zroot")

    archive.with_name("made.tar.xz.sig").unlink()
    subprocess.run([*sign, far.folder / "builder", archive], check=True)
    applied = far.run("apply", "specs")
    assert applied.status == 0, applied
    listed = far.run("package", "list", "--specs", "specs")
    assert made.path.name in listed.out and "yes" in listed.out

    shutil.rmtree(far.folder / "cache")
    given = far.run("package", "export", "nginx", "--out", "here", "--specs", "specs")
    assert given.status == 0, given
    back = far.folder / "here" / made.path.name
    assert back.read_bytes() == made.path.read_bytes() and opened(back).manifest.name == "nginx"
    checked = far.run_here("package", "verify", "--key", "builder.pub", str(back))
    assert checked.status == 0 and "signed by SHA256:" in checked.out
