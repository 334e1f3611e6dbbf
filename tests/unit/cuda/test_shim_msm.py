"""Sums of points on the GPU, run by the shim.

Bases are known multiples of a generator, so the sum is one multiple of it: py-ecc computes both.
"""

import itertools
import random
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from py_ecc import optimized_bn128 as reference

from protocol.field import R
from prover.errors import DeviceOutOfMemory
from prover.kernels.cpu import points
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import to_limbs
from prover.msm import cpu
from prover.msm.cuda import G1, G2, Scalars, Workspace, msm, prepare, read_points
from prover.msm.cuda_plan import MOST_WINDOW_BITS, windows_for

DEVICE = ShimDevice()
_PLENTY = 1 << 30
_MONTGOMERY = (1 << 256) % R


@dataclass(frozen=True, eq=False)
class Reference:
    group: object
    generator: tuple
    pack: object
    on_cpu: object

    @cache  # noqa: B019  (two groups live as long as the module)
    def multiple(self, scalar: int) -> np.ndarray:
        """uint64 (words,): the generator times `scalar`."""
        point = reference.multiply(self.generator, scalar)
        if reference.is_inf(point):
            return np.zeros(self.group.words, np.uint64)
        x, y = reference.normalize(point)
        if self.group is G1:
            return self.pack([(int(x), int(y))])[0]
        return self.pack([tuple(tuple(int(part) for part in coordinate.coeffs) for coordinate in (x, y))])[0]

    def bases(self, logs) -> np.ndarray:
        return np.array([self.multiple(log % R) for log in logs], np.uint64).reshape(-1, self.group.words)

    def sums(self, logs, rows) -> np.ndarray:
        """One sum a proof; rows[i][proof] is the scalar of base i."""
        proofs = zip(*rows, strict=True)
        return np.array([self.multiple(sum(a * b for a, b in zip(logs, proof, strict=True)) % R) for proof in proofs])


REFERENCES = [
    Reference(G1, reference.G1, points.pack_g1, cpu.msm_g1),
    Reference(G2, reference.G2, points.pack_g2, cpu.msm_g2),
]
IN_G1, IN_G2 = REFERENCES
each_group = pytest.mark.parametrize("ref", REFERENCES, ids=lambda ref: ref.group.name)


def _witness(rows) -> Scalars:
    """Scalars rows[i][proof] as a witness batch on the device."""
    limbs = np.array([to_limbs(row) for row in rows], np.uint64).reshape(len(rows), -1, 4)
    return Scalars(DEVICE.upload(limbs.view(np.uint32)))


def _msm(ref, bases, scalars, batch=1, table_bytes=_PLENTY, workspace_bytes=_PLENTY, **overrides) -> np.ndarray:
    """Four tables, unless told otherwise: making them is most of the work."""
    overrides = {"tables": 4, **overrides}
    prepared = prepare(DEVICE, bases, ref.group, table_bytes, workspace_bytes, batch, **overrides)
    return read_points(DEVICE, msm(prepared, scalars))


def _logs(count: int, source: random.Random) -> list[int]:
    """Infinity, equal and opposite points are among the bases."""
    return [source.choice([0, 1, 2, 3, 5, -1, -3, 8]) for _ in range(count)]


def _scalar(source: random.Random) -> int:
    """As a witness has them: bits, small numbers, also negative ones, and some that fill the field."""
    kind = source.randrange(6)
    if kind < 2:
        return kind
    if kind < 4:
        return source.choice([1, -1]) * source.randrange(1 << 16) % R
    return source.randrange(R)


def _case(count: int, batch: int, seed: int = 1) -> tuple[list[int], list[list[int]]]:
    source = random.Random(seed)
    return _logs(count, source), [[_scalar(source) for _ in range(batch)] for _ in range(count)]


@each_group
@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 257])
def test_every_length_gives_the_sum_of_the_products(ref, count):
    logs, rows = _case(count, 2)
    assert np.array_equal(_msm(ref, ref.bases(logs), _witness(rows), 2), ref.sums(logs, rows))


@each_group
def test_a_thousand_bases_give_the_sum_of_the_products(ref):
    logs, rows = _case(1000, 1)
    result = _msm(ref, ref.bases(logs), _witness(rows), window_bits=9, tables=6)
    assert np.array_equal(result, ref.sums(logs, rows))


@each_group
def test_no_bases_and_bases_at_infinity_give_infinity_for_every_proof(ref):
    nothing = np.zeros((3, ref.group.words), np.uint64)
    none = Scalars(DEVICE.empty((0, 3, 8), np.uint32))
    assert np.array_equal(_msm(ref, nothing[:0], none), nothing)
    assert np.array_equal(_msm(ref, nothing, _witness([[7, 8, 9]] * 3)), nothing)


@pytest.mark.parametrize("tables", [1, 3, None])
@pytest.mark.parametrize("window_bits", range(2, 15))
def test_every_window_size_works_without_with_some_and_with_all_tables(window_bits, tables):
    logs, rows = _case(40, 2, window_bits)
    result = _msm(IN_G1, IN_G1.bases(logs), _witness(rows), 2, window_bits=window_bits, tables=tables)
    assert np.array_equal(result, IN_G1.sums(logs, rows))


@pytest.mark.parametrize("window_bits", [2, 5, 8, 11])
@pytest.mark.parametrize("tables", [1, 2, None])
def test_window_sizes_and_tables_work_in_g2(window_bits, tables):
    logs, rows = _case(40, 2, window_bits)
    result = _msm(IN_G2, IN_G2.bases(logs), _witness(rows), 2, window_bits=window_bits, tables=tables)
    assert np.array_equal(result, IN_G2.sums(logs, rows))


def test_the_largest_window_works():
    logs, rows = _case(20, 1)
    result = _msm(IN_G1, IN_G1.bases(logs), _witness(rows), window_bits=MOST_WINDOW_BITS - 4)
    assert np.array_equal(result, IN_G1.sums(logs, rows))


_BITS = 7
_SAME_DIGIT = sum(3 << (_BITS * window) for window in range(windows_for(_BITS) - 1))
_HALF = 1 << (_BITS - 1)


@each_group
@pytest.mark.parametrize(
    "scalars",
    [
        [0],
        [1],
        [R - 1],
        [2, 3],
        [R // 2, R // 2 + 1],
        [1 << bit for bit in range(254)],
        [R - (1 << bit) for bit in range(254)],
        [_HALF - 1, _HALF, _HALF + 1, R - _HALF, (_HALF << _BITS) + _HALF],
        [_SAME_DIGIT],
        [R - _SAME_DIGIT, _SAME_DIGIT],
        [123456789 << 200],
    ],
    ids=["0", "1", "-1", "2 and 3", "halves", "powers", "-powers", "edges", "one bucket", "opposite", "high"],
)
@pytest.mark.parametrize("tables", [1, 3, None], ids=["plain", "some", "all"])
def test_skewed_scalars_give_the_sum_of_the_products(ref, scalars, tables):
    count = 120
    logs = _logs(count, random.Random(2))
    rows = [[scalars[i % len(scalars)]] for i in range(count)]
    result = _msm(ref, ref.bases(logs), _witness(rows), window_bits=_BITS, tables=tables)
    assert np.array_equal(result, ref.sums(logs, rows))


@each_group
@pytest.mark.parametrize("logs", [[1], [1, -1], [1, 1, -2], [0, 1], [0, 0, 0, 5], [2, -1, -1]], ids=str)
@pytest.mark.parametrize("scalar", [1, None], ids=["ones", "uniform"])
def test_equal_opposite_and_infinite_bases_are_added_right(ref, logs, scalar):
    source = random.Random(3)
    logs = [logs[i % len(logs)] for i in range(161)]
    rows = [[scalar or source.randrange(R)] for _ in logs]
    result = _msm(ref, ref.bases(logs), _witness(rows), window_bits=5)
    assert np.array_equal(result, ref.sums(logs, rows))


@each_group
def test_doublings_reach_every_piece_of_a_large_bucket(ref):
    # One base in one bucket: every piece has the same sum, so that joining them doubles too.
    rows = [[_SAME_DIGIT]] * 320
    result = _msm(ref, ref.bases([1] * 320), _witness(rows), window_bits=_BITS)
    assert np.array_equal(result, ref.sums([1] * 320, rows))


@each_group
@pytest.mark.parametrize("batch", [1, 2, 7, 33])
@pytest.mark.parametrize("limits", [{}, {"proofs": 3}, {"rows": 17}, {"proofs": 2, "rows": 40}], ids=str)
def test_batches_give_each_proof_its_sum_also_in_turns(ref, batch, limits):
    logs, rows = _case(60, batch, batch)
    result = _msm(ref, ref.bases(logs), _witness(rows), batch, window_bits=5, **limits)
    assert np.array_equal(result, ref.sums(logs, rows))


@each_group
def test_another_batch_than_the_planned_one_works(ref):
    for planned, batch in ((1, 5), (8, 3)):
        logs, rows = _case(50, batch)
        assert np.array_equal(_msm(ref, ref.bases(logs), _witness(rows), planned), ref.sums(logs, rows))


@each_group
def test_bases_that_do_not_fit_stay_on_the_host(ref):
    logs, rows = _case(200, 3)
    bases = ref.bases(logs)
    prepared = prepare(DEVICE, bases, ref.group, bases.nbytes // 2, _PLENTY, 3, rows=64, window_bits=6)
    assert prepared.plan.streamed
    assert prepared.table is None
    assert prepared.nbytes < bases.nbytes // 2
    assert np.array_equal(read_points(DEVICE, msm(prepared, _witness(rows))), ref.sums(logs, rows))


@each_group
def test_a_small_budget_is_kept_and_gives_the_same_sums(ref):
    logs, rows = _case(700, 6)
    bases = ref.bases(logs)
    table_bytes, workspace_bytes = 2 * bases.nbytes, 15_000 * ref.group.words
    prepared = prepare(DEVICE, bases, ref.group, table_bytes, workspace_bytes, 6)
    assert prepared.plan.rows < prepared.plan.count
    before = DEVICE.memory()[0]
    scalars = _witness(rows)
    DEVICE.set_budget(DEVICE.memory()[1] - before + scalars.array.nbytes + workspace_bytes + 6 * bases[0].nbytes)
    try:
        result = read_points(DEVICE, msm(prepared, scalars))
    finally:
        DEVICE.set_budget(None)
    assert np.array_equal(result, ref.sums(logs, rows))


def test_a_budget_that_is_too_small_is_refused_with_what_to_do():
    with pytest.raises(DeviceOutOfMemory, match="fewer proofs at a time"):
        prepare(DEVICE, IN_G1.bases([1] * 100), G1, _PLENTY, 1000)


def test_polynomials_in_montgomery_form_and_several_arrays_are_taken_as_they_lie():
    batch = 5
    logs, rows = _case(90, batch)
    bases = IN_G1.bases(logs)
    wires, values = rows[:50], rows[50:]
    # The witness has three more wires in front, which have no base; the polynomial is one row a proof.
    witness = _witness([[1] * batch] * 3 + wires).array
    by_proof = [to_limbs([row[proof] * _MONTGOMERY % R for row in values]) for proof in range(batch)]
    polynomial = DEVICE.upload(np.array(by_proof).view(np.uint32))
    segments = [Scalars(witness[3:]), Scalars(polynomial, montgomery=True, proofs_inner=False)]
    for limits in ({}, {"rows": 13}, {"proofs": 2, "rows": 60}):
        prepared = prepare(DEVICE, bases, G1, _PLENTY, _PLENTY, batch, tables=5, **limits)
        assert np.array_equal(read_points(DEVICE, msm(prepared, segments)), IN_G1.sums(logs, rows))


@each_group
@pytest.mark.parametrize("tables", [1, None], ids=["plain", "tables"])
def test_sums_in_xyzz_coordinates_are_the_same_points(ref, tables):
    logs, rows = _case(30, 3)
    logs[0], rows[0][1] = 1, 0
    rows = [[row[0], 0, row[2]] for row in rows]
    prepared = prepare(DEVICE, ref.bases(logs), ref.group, _PLENTY, _PLENTY, 3, tables=tables)
    sums = read_points(DEVICE, msm(prepared, _witness(rows), affine=False))
    assert not sums[1, ref.group.words : 3 * ref.group.words // 2].any()
    # An affine point is its own XYZZ form with ZZ = ZZZ = 1; the kernel that makes sums affine is the oracle's rest.
    for proof in (0, 2):
        x, y, zz, zzz = (_coordinate(part) for part in sums[proof].reshape(4, -1))
        expected = ref.sums(logs, rows)[proof].reshape(2, -1)
        assert x / zz == _coordinate(expected[0])
        assert y / zzz == _coordinate(expected[1])


def _coordinate(words: np.ndarray):
    """A py-ecc field element of uint64 words in Montgomery form; the factor 2^256 cancels in quotients of two."""
    values = points.unpack_g1(np.resize(words, 8))[0]
    return reference.FQ2([*values]) if len(words) == 8 else reference.FQ(values[0])


def _queue(prepared, scalars, workspace, out) -> None:
    msm(prepared, scalars, workspace, out)


@each_group
def test_a_captured_sequence_reads_the_scalars_of_the_day(ref):
    logs, first = _case(80, 4, 1)
    _, second = _case(80, 4, 2)
    prepared = prepare(DEVICE, ref.bases(logs), ref.group, _PLENTY, _PLENTY, 4, proofs=3, rows=50, tables=4)
    workspace, out = Workspace(DEVICE, prepared.workspace_bytes), DEVICE.empty((4, ref.group.words), np.uint64)
    scalars = _witness(first)
    msm(prepared, scalars, workspace, out)
    graph = DEVICE.capture(lambda: _queue(prepared, scalars, workspace, out))
    for rows in (second, first):
        DEVICE.copy(scalars.array, _witness(rows).array)
        graph.launch()
        assert np.array_equal(read_points(DEVICE, out), ref.sums(logs, rows))


def test_multiplications_share_a_workspace_one_after_the_other():
    logs, rows = _case(100, 2)
    in_g1 = prepare(DEVICE, IN_G1.bases(logs), G1, _PLENTY, _PLENTY, 2)
    in_g2 = prepare(DEVICE, IN_G2.bases(logs), G2, _PLENTY, _PLENTY, 2)
    workspace = Workspace(DEVICE, max(in_g1.workspace_bytes, in_g2.workspace_bytes))
    scalars = _witness(rows)
    sums = [msm(bases, scalars, workspace) for bases in (in_g1, in_g2, in_g1)]
    for result, ref in zip(sums, (IN_G1, IN_G2, IN_G1), strict=True):
        assert np.array_equal(read_points(DEVICE, result), ref.sums(logs, rows))


def _digits(scalar: int, window_bits: int) -> list[int]:
    """Signed digits in plain Python, least significant first, of the smaller of s and r - s."""
    sign = 1 if scalar <= R // 2 else -1
    rest, digits = scalar if sign == 1 else R - scalar, []
    for window in range(windows_for(window_bits)):
        digit = rest & ((1 << window_bits) - 1)
        if digit >= 1 << (window_bits - 1) and window + 1 < windows_for(window_bits):
            digit -= 1 << window_bits
        rest = (rest - digit) >> window_bits
        digits.append(sign * digit)
    assert rest == 0
    return digits


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_entries_are_sorted_by_bucket_and_buckets_by_size(batch):
    source = random.Random(4)
    count, window_bits = 250, 5
    rows = [[source.choice([1, _scalar(source)]) for _ in range(batch)] for _ in range(count)]
    prepared = prepare(DEVICE, IN_G1.bases([1] * count), G1, _PLENTY, _PLENTY, batch, window_bits=window_bits, tables=2)
    plan = prepared.plan
    workspace = Workspace(DEVICE, prepared.workspace_bytes)
    msm(prepared, _witness(rows), workspace)

    expected: list[list[int]] = [[] for _ in range(plan.buckets)]
    for base, row in enumerate(rows):
        for proof, scalar in enumerate(row):
            for window, digit in enumerate(_digits(scalar, window_bits)):
                if digit:
                    bucket = (proof * plan.sets + window % plan.sets) * plan.set_buckets + abs(digit) - 1
                    expected[bucket].append(window // plan.sets * count + base | (1 << 31 if digit < 0 else 0))
    starts = workspace.part(plan, "starts").view(np.uint32)
    entries = workspace.part(plan, "sorted").view(np.uint32)
    found = [sorted(entries[start:stop].tolist()) for start, stop in itertools.pairwise(starts)]
    assert found == [sorted(bucket) for bucket in expected]

    sizes = np.diff(starts)
    large = np.flatnonzero(sizes > plan.large)
    assert 0 < len(large) <= plan.large_buckets
    order = workspace.part(plan, "order").view(np.uint32)[: plan.buckets - len(large)]
    assert sorted(order) == np.flatnonzero(sizes <= plan.large).tolist()
    assert (np.diff(sizes[order].astype(int)) <= 0).all()
    total = int(workspace.part(plan, "large_total").view(np.uint64)[0])
    pieces = -(-sizes[large].astype(int) // plan.large)
    assert (total >> 32, total & 0xFFFFFFFF) == (len(large), pieces.sum())


def test_more_buckets_than_a_block_scans_give_the_sum_of_the_products():
    logs, rows = _case(30, 2)
    result = _msm(IN_G1, IN_G1.bases(logs), _witness(rows), 2, window_bits=16, tables=4)
    assert np.array_equal(result, IN_G1.sums(logs, rows))


def test_scalars_that_do_not_fit_the_bases_are_refused():
    prepared = prepare(DEVICE, IN_G1.bases([1, 2]), G1, _PLENTY, _PLENTY)
    with pytest.raises(ValueError, match="2 bases but 3 scalars"):
        msm(prepared, _witness([[1], [2], [3]]))
    with pytest.raises(ValueError, match="of one batch"):
        msm(prepared, [_witness([[1]]), _witness([[1, 2]])])
    with pytest.raises(ValueError, match="of one batch"):
        msm(prepared, Scalars(DEVICE.empty((2, 0, 8), np.uint32)))
    with pytest.raises(ValueError, match="uint32"):
        msm(prepared, Scalars(DEVICE.empty((2, 1, 4), np.uint64)))


@pytest.mark.slow
@each_group
@pytest.mark.parametrize("overrides", [{}, {"rows": 3000}, {"tables": 1}], ids=str)
def test_witness_like_scalars_of_a_circuit_give_what_the_cpu_computes(ref, overrides):
    source = random.Random(6)
    count, batch = 1 << 13, 3
    bases = ref.bases(range(1, 33))[np.random.default_rng(7).integers(0, 32, count)]
    rows = [[_scalar(source) for _ in range(batch)] for _ in range(count)]
    result = _msm(ref, bases, _witness(rows), batch, **overrides)
    for proof in range(batch):
        assert np.array_equal(result[proof], ref.on_cpu(bases, to_limbs([row[proof] for row in rows])))
