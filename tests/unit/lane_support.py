"""What the tests of the eight-lane kernels share: when they can run, and numbers in and out of the lanes."""

import numpy as np
import pytest

from prover.kernels.constants import LANE_BITS as BITS
from prover.kernels.constants import LANE_LIMBS as LIMBS
from prover.kernels.constants import SPILLED
from prover.kernels.cpu.arrays import aligned_rows
from prover.kernels.host import cpu_features
from prover.kernels.paths import choose

# Printed by pytest where it applies: the kernels are machine code of this instruction set and nothing else.
ON_THIS_CPU = choose("auto", cpu_features())
needs_ifma = pytest.mark.skipif(ON_THIS_CPU.name != "ifma", reason=ON_THIS_CPU.reason)


def spilled(values: list[int], components: int = 1) -> np.ndarray:
    """Numbers below 2^260 as rows of eight lanes; with two components value 2k is the real part of element k."""
    rows = aligned_rows(len(values) // (8 * components), components * SPILLED)
    for place, value in enumerate(values):
        element, component = divmod(place, components)
        row, lane = divmod(element, 8)
        for limb in range(LIMBS):
            column = component * SPILLED + 8 * limb + lane
            rows[row, column] = (value >> (BITS * limb)) & ((1 << BITS) - 1)
    return rows


def unspilled(rows: np.ndarray, components: int = 1) -> list[int]:
    """The numbers in rows of eight lanes. Fails where a limb is not carried."""
    assert int(rows.max()) < 1 << BITS
    values = []
    for place in range(len(rows) * 8 * components):
        element, component = divmod(place, components)
        row, lane = divmod(element, 8)
        limbs = rows[row, component * SPILLED + lane :: 8][:LIMBS]
        values.append(sum(int(limb) << (BITS * i) for i, limb in enumerate(limbs)))
    return values
