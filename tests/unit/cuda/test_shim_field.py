"""F_r, F_q and F_q2 as CUDA kernels compute them, against Python integers; see `law_support` for the two ways."""

import random
import re

import numpy as np
import pytest
from py_ecc.fields import bn128_FQ2

from protocol.field import Q, R
from prover.kernels.cuda.sources import SOURCE_FOLDER
from tests.unit.cuda.law_support import (
    ARITHMETIC,
    MONTGOMERY,
    field_edges,
    field_pairs,
    from_montgomery,
    integers,
    law_device,
    limbs,
    to_montgomery,
)

OPERATIONS = [
    "add",
    "sub",
    "mul",
    "neg",
    "doubled",
    "square",
    "inverse",
    "to_montgomery",
    "from_montgomery",
    "mul_add",
    "mul_sub",
    "is_zero",
    "equal",
    "one",
]


@pytest.fixture(scope="module", params=ARITHMETIC)
def device(request):
    return law_device(request.param)


def _run(device, kernel: str, operation: str, *inputs: np.ndarray) -> np.ndarray:
    """`operation` on arrays of elements; threads beyond the last one write nothing."""
    count = len(inputs[0])
    arrays = [device.upload(each) for each in inputs]
    out = device.empty((count + 3, *inputs[0].shape[1:]), np.uint32)
    arguments = [np.uint32(OPERATIONS.index(operation)), out, *arrays, np.uint32(count)]
    device.launch(device.kernel("laws", kernel), (count + 130) // 128, 128, arguments)
    result = device.download(out)
    assert (result[count:] == 0xA5A5A5A5).all()
    return result[:count]


def _expected(modulus: int) -> dict:
    unit = pow(MONTGOMERY, -1, modulus)
    return {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b * unit,
        "neg": lambda a, b: -a,
        "doubled": lambda a, b: 2 * a,
        "square": lambda a, b: a * a * unit,
        "inverse": lambda a, b: pow(a, -1, modulus) * MONTGOMERY**2 if a else 0,
        "to_montgomery": lambda a, b: a * MONTGOMERY,
        "from_montgomery": lambda a, b: a * unit,
        "mul_add": lambda a, b: (a * b + b * b) * unit,
        "mul_sub": lambda a, b: (a * b - a * a) * unit,
        "is_zero": lambda a, b: MONTGOMERY * (a == 0),
        "equal": lambda a, b: MONTGOMERY * (a == b),
        "one": lambda a, b: MONTGOMERY,
    }


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("kernel", "modulus"), [("fr_operation", R), ("fq_operation", Q)])
def test_prime_fields_agree_with_integers(device, kernel, modulus, operation):
    a, b = field_pairs(modulus, seed=OPERATIONS.index(operation), count=300)
    expected = _expected(modulus)[operation]
    result = integers(_run(device, kernel, operation, limbs(a), limbs(b)))
    assert result == [expected(x, y) % modulus for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize(("kernel", "modulus"), [("fr_operation", R), ("fq_operation", Q)])
def test_any_256_bit_number_can_be_brought_to_montgomery_form(device, kernel, modulus):
    numbers = [modulus, modulus + 1, 2 * modulus, 5 * modulus + 7, MONTGOMERY - 1, MONTGOMERY - 2**32, 2**255]
    result = integers(_run(device, kernel, "to_montgomery", limbs(numbers), limbs(numbers)))
    assert result == [number * MONTGOMERY % modulus for number in numbers]


def _fq2_elements(seed: int, count: int) -> list[tuple[int, int]]:
    generator = random.Random(seed)
    edges = [0, 1, Q - 1, Q - 2, (Q - 1) // 2, MONTGOMERY % Q, 2**253]
    return [(a, b) for a in edges for b in edges] + [
        (generator.randrange(Q), generator.randrange(Q)) for _ in range(count)
    ]


def _fq2_limbs(elements: list[tuple[int, int]]) -> np.ndarray:
    return limbs([to_montgomery(part) for element in elements for part in element]).reshape(-1, 16)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("add", lambda a, b: a + b),
        ("sub", lambda a, b: a - b),
        ("mul", lambda a, b: a * b),
        ("neg", lambda a, b: -a),
        ("doubled", lambda a, b: a + a),
        ("square", lambda a, b: a * a),
        ("inverse", lambda a, b: bn128_FQ2.one() / a if a != bn128_FQ2.zero() else a),
        ("mul_add", lambda a, b: a * b + b * b),
        ("mul_sub", lambda a, b: a * b - a * a),
        ("is_zero", lambda a, b: bn128_FQ2([int(a == bn128_FQ2.zero()), 0])),
        ("equal", lambda a, b: bn128_FQ2([int(a == b), 0])),
        ("one", lambda a, b: bn128_FQ2.one()),
    ],
)
def test_the_extension_field_agrees_with_py_ecc(device, operation, expected):
    first = _fq2_elements(1, 60)
    second = _fq2_elements(2, 60)
    generator = random.Random(operation)
    # Edges against edges in random order, some elements against themselves.
    edges = len(first) - 60
    second[:edges] = generator.sample(second[:edges], edges)
    second[-10:] = first[-10:]
    result = integers(_run(device, "fq2_operation", operation, _fq2_limbs(first), _fq2_limbs(second)))
    values = [expected(bn128_FQ2(list(a)), bn128_FQ2(list(b))) for a, b in zip(first, second, strict=True)]
    assert [from_montgomery(part) for part in result] == [int(part) for value in values for part in value.coeffs]


def test_results_in_the_extension_field_are_canonical(device):
    elements = _fq2_limbs(_fq2_elements(3, 100))
    for operation in ("mul", "square", "mul_add", "mul_sub", "doubled", "sub", "neg"):
        reverse = np.ascontiguousarray(elements[::-1])
        assert max(integers(_run(device, "fq2_operation", operation, elements, reverse))) < Q


def test_the_extreme_elements_of_the_extension_field_multiply_rightly(device):
    """The Montgomery residues themselves are extreme here, which makes the unreduced sums as large as they can be."""
    extremes = [(a, b) for a in (0, 1, Q - 1) for b in (0, 1, Q - 1)]
    pairs = [(a, b) for a in extremes for b in extremes]
    rows = [limbs([part for pair in pairs for part in pair[side]]).reshape(-1, 16) for side in (0, 1)]
    unit = pow(MONTGOMERY, -1, Q)
    for operation in ("mul", "mul_add", "mul_sub"):
        result = integers(_run(device, "fq2_operation", operation, *rows))
        expected = []
        for a, b in pairs:
            value = _fq2_product(a, b)
            if operation != "mul":
                other = _fq2_product(b, b) if operation == "mul_add" else tuple(-x for x in _fq2_product(a, a))
                value = value[0] + other[0], value[1] + other[1]
            expected += [part * unit % Q for part in value]
        assert result == expected


def _fq2_product(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


@pytest.mark.parametrize(("name", "modulus"), [("FrParameters", R), ("FqParameters", Q)])
def test_the_constants_of_the_headers_are_those_of_the_protocol(name, modulus):
    text = (SOURCE_FOLDER / "field.cuh").read_text()
    body = re.search(rf"struct {name} {{(.*?)\n}};", text, re.DOTALL)[1]

    def constant(which: str) -> int:
        words = re.search(rf"LIMB_CONSTANT\({which},([^)]*)\)", body)[1].split(",")
        assert len(words) == 8
        return sum(int(word.strip(), 16) << (32 * i) for i, word in enumerate(words))

    def number(which: str) -> int:
        return int(re.search(rf"{which} = (0x[0-9a-f]+);", body)[1], 16)

    assert constant("modulus") == modulus
    assert constant("one") == MONTGOMERY % modulus
    assert constant("r_squared") == MONTGOMERY**2 % modulus
    assert number("NEGATIVE_INVERSE") == -pow(modulus, -1, 1 << 32) % (1 << 32)
    assert number("NEGATIVE_INVERSE_64") == -pow(modulus, -1, 1 << 64) % (1 << 64)
    # What the bounds of montgomery.cuh rest on.
    assert 5 * modulus < MONTGOMERY
    assert modulus < 1 << 254


def test_the_edges_lie_in_the_fields():
    assert all(0 <= edge < modulus for modulus in (R, Q) for edge in field_edges(modulus))
