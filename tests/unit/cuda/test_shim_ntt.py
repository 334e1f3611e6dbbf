"""The transforms of the GPU, run by the shim: against plain Python and the CPU's, laws, and edges."""

import random

import numpy as np
import pytest

from protocol.field import R
from prover.kernels.cpu.vector import fr_from_mont, fr_to_mont
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs, to_limbs
from prover.ntt import cpu, plan_cuda
from prover.ntt.cuda import Transforms, _root
from prover.ntt.domain import bit_reversal, root_of_unity
from tests.unit.cuda.law_support import law_device

DEVICE = ShimDevice()


def _random(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """Montgomery form, uint64 (*shape, 4)."""
    source = random.Random(seed)
    return fr_to_mont(to_limbs(source.randrange(R) for _ in range(int(np.prod(shape))))).reshape(*shape, 4)


def _plain(values_mont: np.ndarray) -> list[int]:
    return from_limbs(fr_from_mont(np.ascontiguousarray(values_mont).reshape(-1, 4)))


def _run(operation, values_mont: np.ndarray, **options) -> np.ndarray:
    on_device = DEVICE.upload(values_mont.view(np.uint32))
    operation(on_device, **options)
    return DEVICE.download(on_device).view(np.uint64)


def _small_tiles(monkeypatch, log_tile: int) -> None:
    """Make small transforms take as many passes as large ones."""
    monkeypatch.setattr(plan_cuda, "LARGEST_LOG_TILE", log_tile)
    monkeypatch.setattr(plan_cuda, "SMALLEST_LOG_TILE", min(log_tile, 3))


@pytest.mark.parametrize("log_n", range(1, 7))
def test_the_transform_is_the_sum_that_defines_it(log_n):
    size = 1 << log_n
    coefficients = _random((1, size))
    plain = _plain(coefficients)
    root = root_of_unity(size)
    expected = [sum(c * pow(root, i * k, R) for i, c in enumerate(plain)) % R for k in range(size)]
    result = _run(Transforms(DEVICE, log_n).to_bit_reversed, coefficients)[0]
    assert _plain(result[bit_reversal(size)]) == expected


@pytest.mark.parametrize("log_n", range(1, 6))
def test_the_odd_coset_holds_the_values_between_those_of_the_domain(log_n):
    size = 1 << log_n
    root, between = root_of_unity(size), root_of_unity(2 * size)
    coefficients = _plain(_random((1, size)))

    def value_at(x: int) -> int:
        return sum(c * pow(x, i, R) for i, c in enumerate(coefficients)) % R

    values = fr_to_mont(to_limbs([value_at(pow(root, i, R)) for i in range(size)]))[None]
    result = _run(Transforms(DEVICE, log_n).extend_to_odd_coset, values)
    assert _plain(result) == [value_at(pow(between, 2 * i + 1, R)) for i in range(size)]


@pytest.mark.parametrize("log_n", range(1, 14))
@pytest.mark.parametrize("full_table_log", [22, 0], ids=["full tables", "tables of two levels"])
def test_every_size_agrees_with_the_cpu(log_n, full_table_log):
    size, count = 1 << log_n, 3
    transforms = Transforms(DEVICE, log_n, full_table_log)
    values = _random((count, size), log_n)
    order = bit_reversal(size)
    forward = _run(transforms.to_bit_reversed, values)
    inverse = _run(transforms.to_bit_reversed, values, inverse=True)
    back = _run(transforms.from_bit_reversed, values[:, order])
    extended = _run(transforms.extend_to_odd_coset, values)
    for row in range(count):
        expected = cpu.ntt(values[row])
        assert np.array_equal(forward[row][order], expected)
        assert np.array_equal(back[row], expected)
        assert np.array_equal(inverse[row][order], cpu.ntt(values[row], inverse=True))
        assert np.array_equal(extended[row], cpu.extend_to_odd_coset(values[row]))


@pytest.mark.parametrize(("log_n", "log_tile", "passes"), [(6, 3, 3), (9, 4, 3), (10, 5, 3), (11, 4, 4), (13, 6, 3)])
@pytest.mark.parametrize("full_table_log", [22, 5])
def test_any_number_of_passes_gives_the_same(log_n, log_tile, passes, full_table_log, monkeypatch):
    _small_tiles(monkeypatch, log_tile)
    transforms = Transforms(DEVICE, log_n, full_table_log)
    assert len(transforms.plan(2).passes) == passes
    values = _random((2, 1 << log_n))
    extended = _run(transforms.extend_to_odd_coset, values)
    forward = _run(transforms.to_bit_reversed, values)
    for row in range(2):
        assert np.array_equal(extended[row], cpu.extend_to_odd_coset(values[row]))
        assert np.array_equal(forward[row][bit_reversal(1 << log_n)], cpu.ntt(values[row]))


@pytest.mark.slow
@pytest.mark.parametrize("log_n", [17, 18])
def test_larger_sizes_agree_with_the_cpu(log_n):
    values = _random((1, 1 << log_n))
    result = _run(Transforms(DEVICE, log_n).extend_to_odd_coset, values)
    assert np.array_equal(result[0], cpu.extend_to_odd_coset(values[0]))


@pytest.mark.parametrize("log_n", [1, 4, 9, 12])
def test_the_way_there_and_back_changes_nothing(log_n):
    transforms = Transforms(DEVICE, log_n)
    values = _random((2, 1 << log_n))

    def there_and_back(on_device):
        transforms.to_bit_reversed(on_device, inverse=True)
        transforms.from_bit_reversed(on_device)

    assert np.array_equal(_run(there_and_back, values), values)


def test_the_transform_is_linear():
    transforms = Transforms(DEVICE, 8)
    a, b = _random((1, 256), 1), _random((1, 256), 2)
    mixed = [(x + 5 * y) % R for x, y in zip(_plain(a), _plain(b), strict=True)]
    together, of_a, of_b = (
        _plain(_run(transforms.to_bit_reversed, values)) for values in (fr_to_mont(to_limbs(mixed))[None], a, b)
    )
    assert together == [(x + 5 * y) % R for x, y in zip(of_a, of_b, strict=True)]


def test_products_of_values_are_the_values_of_a_product():
    size = 32
    transforms = Transforms(DEVICE, 5)
    factors = np.zeros((2, size, 4), np.uint64)
    factors[:, : size // 2] = _random((2, size // 2))
    values = _run(transforms.to_bit_reversed, factors)
    products = [x * y % R for x, y in zip(_plain(values[0]), _plain(values[1]), strict=True)]
    # From the values of the product in bit-reversed order to natural, then to its coefficients in bit-reversed order.
    natural = fr_to_mont(to_limbs(products))[bit_reversal(size)][None]
    result = _plain(_run(transforms.to_bit_reversed, natural, inverse=True)[0][bit_reversal(size)])
    left, right = (_plain(row[: size // 2]) for row in factors)
    expected = [0] * size
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            expected[i + j] = (expected[i + j] + x * y) % R
    assert result == expected


@pytest.mark.parametrize("log_n", [3, 12])
def test_a_batch_is_transformed_as_its_polynomials_are_one_by_one(log_n):
    transforms = Transforms(DEVICE, log_n)
    values = _random((5, 1 << log_n))
    together = _run(transforms.extend_to_odd_coset, values)
    for row in range(5):
        assert np.array_equal(together[row], _run(transforms.extend_to_odd_coset, values[row : row + 1])[0])


@pytest.mark.parametrize("edge", [0, 1, R - 1])
def test_values_at_the_edge_of_the_field(edge):
    values = fr_to_mont(to_limbs([edge] * 4096))[None]
    result = _run(Transforms(DEVICE, 12).extend_to_odd_coset, values)
    # A constant polynomial stays one.
    assert _plain(result) == [edge] * 4096


def test_the_chains_of_a_gpu_compute_the_same():
    device = law_device("chains")
    values = _random((1, 1 << 12))
    on_device = device.upload(values.view(np.uint32))
    Transforms(device, 12).extend_to_odd_coset(on_device)
    assert np.array_equal(device.download(on_device).view(np.uint64)[0], cpu.extend_to_odd_coset(values[0]))


def test_results_are_canonical():
    result = _run(Transforms(DEVICE, 10).to_bit_reversed, _random((2, 1024)))
    assert max(from_limbs(result.reshape(-1, 4))) < R


def test_the_tables_that_prepare_makes_are_all_that_is_needed():
    transforms = Transforms(DEVICE, 12)
    transforms.prepare()
    before = transforms.table_bytes
    values = DEVICE.upload(_random((2, 4096)).view(np.uint32))
    expected = _run(transforms.extend_to_odd_coset, _random((2, 4096)))
    graph = DEVICE.capture(lambda: transforms.extend_to_odd_coset(values))
    graph.launch()
    assert np.array_equal(DEVICE.download(values).view(np.uint64), expected)
    assert transforms.table_bytes == before


def test_sizes_and_arrays_that_do_not_fit_are_errors():
    for log_n in (0, 25):
        with pytest.raises(ValueError, match="values"):
            Transforms(DEVICE, log_n)
    for shape, dtype in (((8, 8), np.uint32), ((1, 4, 8), np.uint32), ((1, 8, 4), np.uint64)):
        with pytest.raises(ValueError, match="shape"):
            Transforms(DEVICE, 3).to_bit_reversed(DEVICE.zeros(shape, dtype))


def test_the_roots_are_those_of_the_domain():
    for log_n in (1, 5, 24, 28):
        assert _root(log_n, False) == root_of_unity(1 << log_n)
        assert _root(log_n, False) * _root(log_n, True) % R == 1
