"""The law suites on a real GPU, at small and at large sizes: field, transforms, sums, proofs from several threads."""

import pytest

from bench.gpu.laws import laws

NAMES = ["copies, streams and graphs", "field arithmetic", "transforms", "sums in G1", "sums in G2", "proofs"]


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("name", NAMES)
def test_a_law_holds(owner, name, large):
    suite = dict(laws(owner, large))
    assert list(suite) == NAMES
    suite[name]()
