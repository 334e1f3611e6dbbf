"""A constraint system small enough to read, its witnesses, and one key for the tests of this folder.

Wires: 0 one | 1 output | 2 x, 3 unused: public | 4 a, 5 b, 6 c, 7 d, 8 idle: private.

    a * b = c        (c + x) * (c + 2) = output        d * (d - 1) = 0        (3 a - b) * 5 = 15 a - 5 b

Wire 3 is in no constraint, and neither is wire 8; the last row holds for every witness.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from protocol.field import R
from prover.circuit.builder import Builder
from prover.circuit.compile import Circuit, compile_circuit
from prover.formats.ptau import PowersOfTau, read_ptau
from prover.formats.zkey import ZKey
from prover.groth16.ceremony import new_powers_of_tau
from prover.groth16.prove import ProvingKey
from prover.groth16.setup import setup
from prover.limbs import to_limbs
from prover.r1cs import R1CS, SparseMatrix

POWER = 4

_A = [{4: 1}, {2: 1, 6: 1}, {7: 1}, {4: 3, 5: R - 1}]
_B = [{5: 1}, {0: 2, 6: 1}, {0: R - 1, 7: 1}, {0: 5}]
_C = [{6: 1}, {1: 1}, {}, {4: 15, 5: R - 5}]


def matrix(rows: list[dict[int, int]]) -> SparseMatrix:
    """Rows as {wire: coefficient}."""
    entries = [entry for row in rows for entry in sorted(row.items())]
    return SparseMatrix(
        row_ptr=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        col=np.array([wire for wire, _ in entries], dtype=np.uint32),
        value=to_limbs(value for _, value in entries),
    )


def circuit() -> R1CS:
    return R1CS(
        n_wires=9,
        n_outputs=1,
        n_public_inputs=2,
        n_private_inputs=4,
        a=matrix(_A),
        b=matrix(_B),
        c=matrix(_C),
        labels=np.arange(9, dtype=np.uint64),
        n_labels=9,
    )


def product_circuit() -> Circuit:
    """result = left * right, and left is not zero; unlike the constraints above, with a witness program."""
    builder = Builder("product")
    result = builder.public_input("result")
    left, right = builder.private_input("left"), builder.private_input("right")
    builder.constrain(left, right, result)
    builder.constrain(left, builder.hint_inverse(left), 1)
    return compile_circuit(builder)


def witness(a: int = 3, b: int = 4, x: int = 5, d: int = 1, unused: int = 6, idle: int = 7) -> np.ndarray:
    """uint64 (9, 4), plain: satisfies the circuit for d = 0 and d = 1."""
    c = a * b % R
    return to_limbs([1, (c + x) * (c + 2) % R, x, unused, a, b, c, d, idle])


@cache
def powers_of_tau() -> PowersOfTau:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.ptau"
        new_powers_of_tau(POWER, path)
        return read_ptau(path)


@cache
def zkey() -> ZKey:
    return setup(circuit(), powers_of_tau())


@cache
def proving_key() -> ProvingKey:
    return ProvingKey.from_zkey(zkey())
