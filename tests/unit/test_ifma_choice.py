"""Which arithmetic a CPU gets: the fastest it has, unless the environment says otherwise."""

import os
import subprocess
import sys

import numpy as np
import pytest

from prover import backend
from prover.errors import ProverError
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1
from prover.kernels.paths import choose
from prover.limbs import to_limbs
from tests.unit.lane_support import ON_THIS_CPU, needs_ifma

FULL = {"avx512f": True, "avx512dq": True, "avx512ifma": True}


def test_a_cpu_with_the_instructions_uses_them():
    path = choose("auto", FULL)
    assert path.name == "ifma"
    assert "AVX-512 IFMA" in path.reason


@pytest.mark.parametrize("missing", FULL)
def test_a_cpu_that_lacks_any_of_them_uses_portable_code_and_says_which(missing):
    for features in ({**FULL, missing: False}, {name: True for name in FULL if name != missing}):
        path = choose("auto", features)
        assert path.name == "scalar"
        assert missing in path.reason


def test_portable_code_can_be_asked_for_on_any_cpu():
    assert choose("scalar", FULL).name == choose("scalar", {}).name == "scalar"


def test_asking_for_instructions_that_are_not_there_is_an_error():
    assert choose("ifma", FULL).name == "ifma"
    with pytest.raises(ProverError, match="no avx512f, avx512dq, avx512ifma: set GELAP_CPU_PATH to auto or scalar"):
        choose("ifma", {})


def test_a_path_that_does_not_exist_is_an_error():
    with pytest.raises(ProverError, match="auto, ifma or scalar, not 'fast'"):
        choose("fast", FULL)


_SUM = """
import numpy as np
from prover import backend
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1
from prover.limbs import to_limbs
bases = np.repeat(pack_g1([G1_GENERATOR]), 100, axis=0)
prepared = backend.prepare_g1(bases)
print(backend.cpu_path().name, type(prepared).__name__)
print(*backend.msm_g1(prepared, to_limbs(range(100))), *backend.msm_g1(bases, to_limbs(range(100))))
"""


def _sum_in_a_process(path: str) -> list[list[str]]:
    environment = {**os.environ, "GELAP_CPU_PATH": path}
    done = subprocess.run([sys.executable, "-c", _SUM], env=environment, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("path", "form"), [("scalar", "ndarray"), pytest.param("ifma", "LaneBases", marks=needs_ifma)])
def test_the_environment_chooses_the_path_of_a_process(path, form):
    chosen, words = _sum_in_a_process(path)
    assert chosen == [path, form]
    expected = backend.msm_g1(pack_g1([G1_GENERATOR]), to_limbs([99 * 50])).tolist()
    assert [int(word) for word in words] == expected * 2


def test_this_process_uses_what_the_tests_assume():
    if "GELAP_CPU_PATH" not in os.environ:
        assert backend.cpu_path() == ON_THIS_CPU


def test_small_sums_and_large_ones_agree_about_infinity():
    bases = np.zeros((100, 8), dtype=np.uint64)
    for count in (0, 1, 100):
        assert not backend.msm_g1(bases[:count], to_limbs(range(count)).reshape(-1, 4)).any()
