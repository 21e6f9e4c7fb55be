"""The whole life of a jail on a host that only ssh reaches: `make test-ssh`.

Real ssh, real sshd, real shells on both sides; behind the login lies the sandbox.
"""

import signal
import subprocess


def fleet(mirror: str, content: str, *, port: int = 80, healthy: bool = True) -> str:
    """One release; one jail with a volume, a Makejail and a health check."""
    makes = f"echo {content} > /etc/version" if healthy else "rm -f /etc/version"
    return f"""kind: Release
name: 15.1-RELEASE
sets: [base]
mirror: {mirror}
---
kind: Jail
name: web
release: 15.1-RELEASE
hostname: web{port}.example.org
makejail: {{text: "CMD {makes}"}}
volumes:
  - {{name: www, mountpoint: /usr/local/www}}
healthcheck: {{command: [test, -f, /etc/version], interval: 0, retries: 2}}
"""


def test_a_jail_is_made_changed_and_put_back_through_ssh_alone(far):
    far.write(fleet(far.mirror, "one"))
    planned = far.run("plan", "specs")
    assert (planned.status, planned.err) == (0, "")
    assert "+ start jail" in planned.out
    applied = far.run("apply", "specs")
    assert applied.status == 0, applied
    assert far.inside("jexec web cat /etc/version") == "one\n"
    before = far.sessions()
    assert "No changes" in far.run("plan", "specs").out
    assert far.sessions() - before <= 2, "the connection's greeting, and one exchange for all that is observed"

    far.inside("rm /reconciler/jails/web/keep.sh")
    assert "write keep.sh" in far.run("plan", "specs").out
    assert far.run("apply", "specs").status == 0
    assert "restore" in far.inside("cat /reconciler/jails/web/keep.sh")

    far.write(fleet(far.mirror, "two", port=81))
    assert far.run("apply", "specs").status == 0
    assert far.inside("jexec web cat /etc/version; jls -j web host.hostname") == "two\nweb81.example.org\n"

    far.write(fleet(far.mirror, "three", port=81, healthy=False))
    spoiled = far.run("apply", "specs")
    assert spoiled.status in {1, 4}, spoiled
    assert "rolled-back" in spoiled.out + spoiled.err
    assert far.inside("jexec web cat /etc/version") == "two\n"


def test_a_connection_that_dies_in_the_middle_is_made_good_by_the_next_run(far):
    far.write(fleet(far.mirror, "one"))
    with subprocess.Popen(
        far.argv("apply", "specs"), cwd=far.folder, env=far.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        heard(run, "web: create dataset state/web ... done")
        far.cut()
        said = run.stdout.read().decode()
        status = run.wait(60)
    assert status in {1, 4}, said
    assert "connection" in said
    again = far.run("apply", "specs")
    assert again.status == 0, again
    assert "No changes" in far.run("plan", "specs").out
    assert far.inside("jexec web cat /etc/version") == "one\n"


def heard(run: subprocess.Popen[bytes], words: str) -> None:
    """Read until it has said `words`."""
    said = []
    while not said or words not in said[-1]:
        said.append(run.stdout.readline().decode())
        assert said[-1], f"it ended before it said {words!r}: {''.join(said)}"


def test_a_second_client_is_told_who_holds_the_lock(far):
    far.write(fleet(far.mirror, "one").replace("CMD ", "CMD sleep 600; "))
    with subprocess.Popen(
        far.argv("apply", "specs"), cwd=far.folder, env=far.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        try:
            heard(run, "create dataset pool ... done")
            refused = far.run("apply", "specs")
            assert refused.status == 3, refused
            assert f"process {run.pid}" in refused.err
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait(30)
