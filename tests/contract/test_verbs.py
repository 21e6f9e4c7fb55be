"""The suite of the other facets on the sandbox."""

import pytest
from datasets import Place
from verbs import CHECKS

from reconciler.hosts.open import open_host


@pytest.fixture
def place(tmp_path):
    host = open_host(f"sandbox:{tmp_path}")
    host.datasets.create("zroot/contract", {"mountpoint": "/contract"})
    return Place(host, "zroot/contract", "/contract")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sandbox_keeps_the_contract_of_its_verbs(check, place):
    check(place)
