"""The PTX that NVRTC makes of the field arithmetic computes the right thing, without a GPU: it is carried out here.

The shim runs the same algorithms with emulated instructions; this covers the inline assembly itself.
"""

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protocol.field import Q, R
from prover.kernels.cuda.compile import compile_source
from tests.unit.cuda.law_support import MONTGOMERY, field_edges, integers, limbs
from tests.unit.cuda.ptx_interpreter import Thread, kernel_body

KERNELS = Path(__file__).parent / "arithmetic_kernels.cu"
FIELDS = {"fr": (R, 1), "fq": (Q, 1), "fq2": (Q, 2)}
OPERATIONS = ["add", "sub", "mul", "neg", "doubled", "square", "mul_add", "mul_sub"]
ROUNDS = 40


@cache
def _ptx() -> str:
    return compile_source(KERNELS, "compute_90").path.read_text()


@cache
def _body(kernel: str) -> list[tuple[str, list[str]]]:
    return kernel_body(_ptx(), kernel)


def _run(kernel: str, result_size: int, *inputs: list[int]) -> list[int]:
    """The kernel's result and its inputs as integers of 256 bits."""
    arrays = [[0] * (8 * result_size), *(limbs(values).reshape(-1).tolist() for values in inputs)]
    Thread(_body(kernel), arrays)
    return integers(_array(arrays[0]))


def _array(words: list[int]) -> np.ndarray:
    return np.array(words, np.uint32).reshape(-1, 8)


def _product(a: list[int], b: list[int]) -> list[int]:
    if len(a) == 1:
        return [a[0] * b[0]]
    return [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]


def _expected(operation: str, modulus: int, a: list[list[int]], b: list[list[int]]) -> list[int]:
    """a, b: two elements each, as lists of Montgomery residues."""
    unit = pow(MONTGOMERY, -1, modulus)
    first, second = _product(a[0], b[0]), _product(b[1], a[1])
    results = {
        "add": [x + y for x, y in zip(a[0], b[0], strict=True)],
        "sub": [x - y for x, y in zip(a[0], b[0], strict=True)],
        "mul": [unit * x for x in first],
        "neg": [-x for x in a[0]],
        "doubled": [2 * x for x in a[0]],
        "square": [unit * x for x in _product(a[0], a[0])],
        "mul_add": [unit * (x + y) for x, y in zip(first, second, strict=True)],
        "mul_sub": [unit * (x - y) for x, y in zip(first, second, strict=True)],
    }
    return [value % modulus for value in results[operation]]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("field", FIELDS)
def test_the_instructions_of_field_arithmetic_compute_it(field, operation):
    modulus, size = FIELDS[field]
    generator = random.Random(f"{field} {operation}")
    edges = field_edges(modulus)
    for round_number in range(ROUNDS):
        source = edges if round_number < ROUNDS // 2 else None
        a, b = (
            [[generator.choice(source) if source else generator.randrange(modulus) for _ in range(size)] for _ in "01"]
            for _ in "ab"
        )
        if round_number == 0:
            a = b = [[modulus - 1] * size] * 2
        inputs = [[part for element in each for part in element] for each in (a, b)]
        if operation in ("neg", "doubled", "square"):
            inputs = inputs[:1]
        assert _run(f"{field}_{operation}", size, *inputs) == _expected(operation, modulus, a, b)


@pytest.mark.parametrize("field", ["fr", "fq"])
def test_the_instructions_of_both_conversions_compute_them(field):
    modulus, _ = FIELDS[field]
    numbers = [*field_edges(modulus), MONTGOMERY - 1, MONTGOMERY - modulus, modulus, random.Random(5).getrandbits(256)]
    for number in numbers:
        assert _run(f"{field}_to_montgomery", 1, [number]) == [number * MONTGOMERY % modulus]
        residue = number % modulus
        assert _run(f"{field}_from_montgomery", 1, [residue]) == [residue * pow(MONTGOMERY, -1, modulus) % modulus]


def test_a_wrong_instruction_is_noticed():
    wrong = [
        ("madc.hi.u32" if opcode == "madc.hi.cc.u32" else opcode, operands) for opcode, operands in _body("fq_mul")
    ]
    arrays = [[0] * 8, *(limbs([Q - 2]).reshape(-1).tolist() for _ in range(2))]
    Thread(wrong, arrays)
    assert integers(_array(arrays[0])) != [4 * pow(MONTGOMERY, -1, Q) % Q]
