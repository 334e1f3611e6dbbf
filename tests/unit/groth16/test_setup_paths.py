"""Both arithmetic paths make the same files from the same secrets, to the last byte."""

import random
import secrets

import numpy as np

from protocol.field import R
from prover import backend
from prover.formats.ptau import read_ptau
from prover.formats.zkey import write_zkey
from prover.groth16.ceremony import new_powers_of_tau
from prover.groth16.setup import setup
from prover.kernels.paths import CpuPath
from prover.msm import fixed_base, sparse
from prover.r1cs import R1CS
from tests.unit.groth16 import samples
from tests.unit.lane_support import needs_ifma

# Enough for eight lanes: see `prover.msm.fixed_base`.
POWER = 10


def _random_circuit(source: random.Random) -> R1CS:
    """Coefficients as circuits have them: ones, opposites, powers of two and dense rows of large numbers."""
    wires = 800

    def row() -> dict[int, int]:
        dense = source.random() < 0.2
        chosen = source.sample(range(wires), source.randrange(8, 20) if dense else source.randrange(4))
        return {wire: source.randrange(R) if dense else source.choice([1, 1, R - 1, 2, 64, 300]) for wire in chosen}

    a, b, c = (samples.matrix([row() for _ in range(1000)]) for _ in range(3))
    return R1CS(wires, 1, 2, wires - 4, a, b, c, np.arange(wires, dtype=np.uint64), wires)


@needs_ifma
def test_files_of_a_setup_are_the_same_on_both_paths(tmp_path, monkeypatch):
    circuit = _random_circuit(random.Random(7))
    files = {}
    for name in ("scalar", "ifma"):
        for module in (backend, fixed_base, sparse):
            monkeypatch.setattr(module, "cpu_path", lambda name=name: CpuPath(name, "for a test"))
        source = random.Random(8)
        monkeypatch.setattr(secrets, "randbelow", source.randrange)
        ptau, zkey = tmp_path / f"{name}.ptau", tmp_path / f"{name}.zkey"
        new_powers_of_tau(POWER, ptau)
        write_zkey(zkey, setup(circuit, read_ptau(ptau)))
        files[name] = ptau.read_bytes(), zkey.read_bytes()
    assert files["scalar"] == files["ifma"]
