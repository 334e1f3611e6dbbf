"""Multi-scalar multiplication on a GPU, for many proofs over the same bases at once.

`prepare` puts bases and tables of their multiples on the device, `msm` multiplies and sums; `cuda_plan` tells how the
work is cut up, the kernels are in `msm_sort.cu` (digits and buckets) and `msm_points.cuh` (sums of points). Bases at
infinity, of which a proving key has many, are left out when bases are prepared.

`msm` does not wait for the device, and its launches depend on the plan, never on scalars: given a workspace and an
array for the result, it can be captured into a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.kernels.cuda.device import Array, Device
from prover.msm.cuda_plan import (
    G1,
    G2,
    ORDER_SPAN,
    RECODE_THREADS,
    SCAN_THREADS,
    THREADS,
    CudaPlan,
    Group,
    make_plan,
)

__all__ = ["G1", "G2", "DeviceBases", "Scalars", "Workspace", "msm", "prepare", "read_points"]

_SORT = "msm_sort"
_WARP = 32
# Points that are copied, and whose multiples are computed, at a time; those that share an inversion, a thread's.
_TABLE_ROWS = 1 << 17
_SHARED_INVERSION = 8


@dataclass(frozen=True)
class Scalars:
    """Scalars of some bases for each proof of a batch: uint32 limbs, below r.

    array: (rows, batch, 8) where `proofs_inner`, as witnesses are, else (batch, rows, 8), as polynomials are; plain, or
    in Montgomery form.
    """

    array: Array
    montgomery: bool = False
    proofs_inner: bool = True

    @property
    def rows(self) -> int:
        return int(self.array.shape[0 if self.proofs_inner else 1])

    @property
    def batch(self) -> int:
        return int(self.array.shape[1 if self.proofs_inner else 0])


class Workspace:
    """Device memory that multiplications share, one after the other on one stream."""

    def __init__(self, device: Device, size: int) -> None:
        self.array = device.empty(size, np.uint8)

    def part(self, plan: CudaPlan, first: str, last: str | None = None) -> Array:
        """The bytes of array `first` of the plan's layout, up to the end of `last`."""
        start, size = plan.layout[first]
        if last is not None:
            offset, size = plan.layout[last]
            size += offset - start
        return self.array[start : start + size]


@dataclass(frozen=True, eq=False)
class DeviceBases:
    """Bases on the device.

    size: how many there are, with those at infinity; rows: the places of the others, on the device and on the host;
    table: uint64 (tables * count, words), or None where the bases are streamed: then they are in `host`, pinned.
    """

    device: Device
    plan: CudaPlan
    size: int
    rows: Array
    host_rows: np.ndarray
    offset: Array
    table: Array | None
    host: np.ndarray | None

    @property
    def group(self) -> Group:
        return self.plan.group

    @property
    def nbytes(self) -> int:
        """Device memory held."""
        return sum(int(array.nbytes) for array in (self.rows, self.offset, self.table) if array is not None)

    @property
    def workspace_bytes(self) -> int:
        """Device memory a multiplication needs meanwhile."""
        return self.plan.workspace_bytes


def prepare(
    device: Device,
    bases: np.ndarray,
    group: Group,
    table_bytes: int,
    workspace_bytes: int,
    batch: int = 1,
    **overrides: int | None,
) -> DeviceBases:
    """Put bases on the device for multiplications by about `batch` proofs at a time.

    bases: uint64 (n, 8) in G1, (n, 16) in G2, affine in Montgomery form, infinity all zeros. Budgets and `overrides`
    (window_bits, tables, proofs, rows) as in `make_plan`. Raises DeviceOutOfMemory.
    """
    bases = np.ascontiguousarray(bases, dtype=np.uint64).reshape(-1, group.words)
    host_rows = np.flatnonzero(bases.any(axis=1)).astype(np.uint32)
    count = len(host_rows)
    live = bases if count == len(bases) else bases[host_rows]
    plan = make_plan(group, count, batch, table_bytes, workspace_bytes, device.multiprocessors, **overrides)
    half = 1 << (plan.window_bits - 1)
    offset = sum(half << (plan.window_bits * window) for window in range(plan.windows - 1))
    table: Array | None = None
    host: np.ndarray | None = None
    if plan.streamed:
        host = device.pinned(live.shape, np.uint64)
        host[...] = live
    elif count:
        table = _make_tables(device, live, plan)
    return DeviceBases(
        device=device,
        plan=plan,
        size=len(bases),
        rows=device.upload(host_rows if count else np.zeros(1, np.uint32)),
        host_rows=host_rows,
        offset=device.upload(np.frombuffer(offset.to_bytes(32, "little"), "<u4").copy()),
        table=table,
        host=host,
    )


def _make_tables(device: Device, bases: np.ndarray, plan: CudaPlan) -> Array:
    """uint64 (tables * count, words): the bases, then 2^(table_doublings * j) times the bases for j = 1, 2, ...

    Takes memory for twice the bases at most beside the result.
    """
    count = plan.count
    table = device.empty((plan.tables * count, plan.group.words), np.uint64)
    rows = min(count, _TABLE_ROWS)
    for first in range(0, count, rows):
        device.copy(table[first : min(first + rows, count)], device.upload(bases[first : first + rows]))
    if plan.tables > 1:
        scratch = device.empty((rows, 2 * plan.group.words), np.uint64)
        kernel = device.kernel(plan.group.unit, "msm_next_table")
        for start in range(count, plan.tables * count, count):
            for first in range(start, start + count, rows):
                here = min(rows, start + count - first)
                args = [
                    table[first - count : first - count + here],
                    table[first : first + here],
                    np.uint32(here),
                    np.uint32(plan.table_doublings),
                    scratch,
                ]
                device.launch(kernel, _blocks(here, _SHARED_INVERSION * _WARP), _WARP, args)
    device.synchronize()
    return table


def msm(
    bases: DeviceBases,
    scalars: Scalars | Sequence[Scalars],
    workspace: Workspace | None = None,
    out: Array | None = None,
    affine: bool = True,
) -> Array:
    """For each proof of a batch the sum of scalars[i] * bases[i], in Montgomery form.

    The result is uint64 (batch, words), affine with infinity all zeros, or else (batch, 2 * words) in XYZZ coordinates
    with ZZ = 0 for infinity, which saves an inversion.
    scalars: one array, or several one after the other, with as many rows as there are bases. workspace: of at least
    `bases.workspace_bytes`. out: for the result, of at least the batch's rows. Raises ValueError where lengths differ.
    """
    device = bases.device
    segments = [scalars] if isinstance(scalars, Scalars) else list(scalars)
    batch = _check(bases, segments)
    words = bases.group.words if affine else 2 * bases.group.words
    results = device.empty((batch, words), np.uint64) if out is None else out[:batch]
    if not bases.plan.count:
        device.fill_zero(results)
        return results
    if workspace is None:
        workspace = Workspace(device, bases.plan.for_proofs(min(batch, bases.plan.proofs)).workspace_bytes)
    for first in range(0, batch, bases.plan.proofs):
        plan = bases.plan.for_proofs(min(bases.plan.proofs, batch - first))
        _Launches(bases, plan, workspace, segments, first).run(results[first : first + plan.proofs], affine)
    return results


def _check(bases: DeviceBases, segments: list[Scalars]) -> int:
    rows = sum(segment.rows for segment in segments)
    if rows != bases.size:
        raise ValueError(f"{bases.size} bases but {rows} scalars")
    batches = {segment.batch for segment in segments}
    if len(batches) != 1 or 0 in batches:
        raise ValueError(f"scalars must be of one batch of at least one proof, got {sorted(batches)}")
    for segment in segments:
        if segment.array.dtype != np.uint32 or segment.array.shape[2:] != (8,):
            raise ValueError("scalars are uint32 arrays of three dimensions, the last of which is 8")
    return batches.pop()


def read_points(device: Device, points: Array) -> np.ndarray:
    """The result of `msm` on the host: uint64 (batch, 8) or (batch, 16); waits for it."""
    return device.download(points)


class _Launches:
    """The launches for the proofs first_proof, first_proof + 1, ... of a batch, as many as `plan` takes at a time."""

    def __init__(
        self, bases: DeviceBases, plan: CudaPlan, workspace: Workspace, segments: list[Scalars], first_proof: int
    ) -> None:
        self._bases = bases
        self._device = bases.device
        self._plan = plan
        self._workspace = workspace
        self._segments = segments
        self._first_proof = first_proof

    def _part(self, name: str) -> Array:
        return self._workspace.part(self._plan, name)

    def _launch(self, unit: str, name: str, blocks: int, threads: int, *args: Any, shared_bytes: int = 0) -> None:
        """Launch a kernel; Python integers are passed as uint32."""
        typed = [np.uint32(arg) if isinstance(arg, int) else arg for arg in args]
        self._device.launch(self._device.kernel(unit, name), max(1, blocks), threads, typed, shared_bytes)

    def run(self, results: Array, affine: bool) -> None:
        plan = self._plan
        for first in range(0, plan.count, plan.rows):
            self._add_bases(first, min(first + plan.rows, plan.count))
        self._reduce(results, affine)

    def _add_bases(self, first: int, last: int) -> None:
        """Add the entries of bases first .. last-1 to the buckets."""
        plan = self._plan
        self._device.fill_zero(self._workspace.part(plan, "starts", "large_total"))
        table, stride, origin = self._bases.table, plan.count, first
        if self._bases.host is not None:
            table = self._part("bases")[: (last - first) * plan.group.point_bytes]
            self._device.upload_async(table.view(np.uint64), self._bases.host[first:last].reshape(-1))
            stride, origin = 0, 0
        starts, ranks, ordered = self._part("starts"), self._part("ranks"), self._part("sorted")
        slots = (last - first) * plan.proofs
        for blocks, _, args, slot in self._recodings(first, last):
            self._launch(_SORT, "msm_count", blocks, RECODE_THREADS, *args, starts, ranks, slots, slot)
        self._scan(starts)
        self._order(starts)
        for blocks, place, args, slot in self._recodings(first, last):
            self._launch(
                *(_SORT, "msm_scatter", blocks, RECODE_THREADS),
                *(*args, starts, ranks, slots, slot, stride, origin + place, ordered),
            )
        self._accumulate(table, keep=int(first > 0))

    def _recodings(self, first: int, last: int) -> list[tuple[int, int, list[Any], int]]:
        """For each array of scalars that belongs to bases first .. last-1: blocks, base, arguments, first slot."""
        plan, bases = self._plan, self._bases
        found = []
        row = 0
        for segment in self._segments:
            start, stop = np.searchsorted(bases.host_rows, [row, row + segment.rows]).clip(first, last).tolist()
            if start < stop:
                strides = (segment.batch, 1) if segment.proofs_inner else (1, segment.rows)
                args = [
                    *(segment.array, *strides, int(segment.montgomery), int(segment.proofs_inner)),
                    *(bases.rows[start:stop], row, stop - start, self._first_proof, plan.proofs),
                    *(bases.offset, plan.window_bits, plan.windows, plan.sets),
                ]
                blocks = _blocks((stop - start) * plan.proofs, RECODE_THREADS)
                found.append((blocks, start - first, args, (start - first) * plan.proofs))
            row += segment.rows
        return found

    def _scan(self, starts: Array) -> None:
        """Turn the numbers of entries of the buckets into the places where they start, and the end of all."""
        plan, sums = self._plan, self._part("block_sums")
        count = plan.buckets + 1
        self._launch(_SORT, "msm_scan_blocks", plan.scan_blocks, SCAN_THREADS, starts, count, starts, sums)
        self._launch(_SORT, "msm_scan_sums", 1, SCAN_THREADS, sums, plan.scan_blocks)
        self._launch(_SORT, "msm_scan_add", plan.scan_blocks, SCAN_THREADS, starts, count, sums)

    def _order(self, starts: Array) -> None:
        """List the buckets by falling size, and the large ones apart."""
        plan, sizes = self._plan, self._part("sizes")
        blocks = min(_blocks(plan.buckets, ORDER_SPAN), 4 * plan.multiprocessors)
        large = [self._part(name) for name in ("large_total", "large_buckets", "large_pieces")]
        self._launch(_SORT, "msm_count_sizes", blocks, SCAN_THREADS, starts, plan.buckets, plan.large, sizes, *large)
        self._launch(_SORT, "msm_start_sizes", 1, SCAN_THREADS, sizes, plan.large)
        self._launch(
            *(_SORT, "msm_order", _blocks(plan.buckets, ORDER_SPAN), SCAN_THREADS),
            *(starts, plan.buckets, plan.large, ORDER_SPAN, sizes, self._part("order")),
        )

    def _accumulate(self, table: Array, keep: int) -> None:
        plan, unit = self._plan, self._plan.group.unit
        starts, sums, partial_sums = self._part("starts"), self._part("sums"), self._part("partial_sums")
        large = [self._part(name) for name in ("large_total", "large_buckets", "large_pieces")]
        self._launch(
            *(unit, "msm_accumulate", _blocks(plan.buckets + plan.pieces, THREADS), THREADS),
            *(table, self._part("sorted"), starts, plan.buckets, plan.large, self._part("order")),
            *(*large, keep, sums, partial_sums),
        )
        self._launch(
            *(unit, "msm_join_pieces", min(plan.large_buckets, 4 * plan.multiprocessors), THREADS),
            *(starts, plan.large, *large, keep, partial_sums, sums),
            shared_bytes=THREADS * plan.group.sum_bytes,
        )

    def _reduce(self, results: Array, affine: bool) -> None:
        plan, unit = self._plan, self._plan.group.unit
        sum_bytes, shape = plan.group.sum_bytes, (plan.row_bits, plan.column_bits)
        sets = plan.proofs * plan.sets
        sums, lines, bits, set_sums = (self._part(name) for name in ("sums", "lines", "bits", "set_sums"))
        self._launch(
            *(unit, "msm_line_sums", _blocks(plan.lines * plan.line_width, THREADS), THREADS),
            *(sums, sets, *shape, plan.line_width, lines),
            shared_bytes=THREADS * sum_bytes,
        )
        self._launch(
            *(unit, "msm_bit_sums", sets * plan.window_bits, plan.bit_threads),
            *(lines, *shape, plan.window_bits, bits),
            shared_bytes=plan.bit_threads * sum_bytes,
        )
        is_result = plan.sets == 1 and not affine
        self._launch(
            *(unit, "msm_set_sums", _blocks(sets * _WARP, THREADS), THREADS),
            *(bits, sets, plan.window_bits, results if is_result else set_sums),
            shared_bytes=THREADS * sum_bytes,
        )
        if not is_result:
            self._launch(
                *(unit, "msm_finish", _blocks(plan.proofs, _WARP), _WARP),
                *(set_sums, plan.proofs, plan.sets, plan.window_bits, int(affine), results),
            )


def _blocks(threads: int, block: int) -> int:
    return -(-threads // block)
