# Works with GNU make and BSD make. `make demo` and `make test` set up everything they need below .venv.
PYTHON = python3
VENV = .venv
# It is started hundreds of times by the tests: its modules are compiled once, whatever the environment says.
RUN = PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python
# Options of the crash matrix, such as CRASH=--states or CRASH="--every 10".
CRASH =
# How tests are spread: most of their time is processes that they wait for, so one more than two cores pays.
TESTS = -n 3 --dist loadfile

.PHONY: all demo test lint test-crash test-demo test-slow test-zfs test-ssh bench docs clean

all: test

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.ready

demo: $(VENV)/.ready
	@$(RUN) -m reconciler.cli.main demo .demo

test: $(VENV)/.ready
	$(RUN) -m pytest -q $(TESTS)

lint: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) tests/budget.py

# The whole fleet, killed at every single host call, one after the other.
test-crash: $(VENV)/.ready
	$(RUN) tests/crash/matrix.py $(CRASH)

# The Datasets contract, and a fleet's whole life, on real OpenZFS in a guest: see the head of tests/zfs/run.
test-zfs: $(VENV)/.ready
	PYTHON=$(VENV)/bin/python PYTHONDONTWRITEBYTECODE= sh tests/zfs/run

# Whole flows that take longer than a default run may: the demo, real ssh, and what other folders have.
test-slow: $(VENV)/.ready
	$(RUN) -m pytest -q -n 2 --dist loadfile tests/*/flow_*.py

# The whole demo, and that it leaves what it says.
test-demo: $(VENV)/.ready
	$(RUN) -m pytest -q tests/demo/flow_demo.py

# What is generated from the schemas and the commands' own help.
docs: $(VENV)/.ready
	$(RUN) docs/generate.py

# A jail's whole life over real ssh, into a sandbox behind a private sshd.
test-ssh: $(VENV)/.ready
	$(RUN) -m pytest -q tests/ssh/flow_ssh.py

bench: $(VENV)/.ready
	$(RUN) bench/noop.py

clean:
	-@[ ! -d .demo/host ] || $(RUN) -m reconciler.cli.main sandbox shutdown --host sandbox:.demo/host
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
