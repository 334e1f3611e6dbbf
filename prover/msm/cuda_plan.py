"""How a multi-scalar multiplication is cut up for a GPU: windows, tables, proofs and bases at a time, bytes, launches.

The bucket method of `prover.msm.plan`, with three differences. The bases are fixed, so multiples 2^(c sets j) P of
them are kept in tables j = 0, 1, ...: window w takes its bases from table w // sets and shares bucket set w % sets with
the windows of the other tables. With a table for every window there is one set, and no doubling between windows.
Proofs of one circuit share the bases, so `proofs` of them are summed in one launch, each with its own buckets. And
what does not fit is done in turns: `rows` bases at a time add to the same buckets.

Operations, in multiplications of F_q of 136 wide multiply-adds (see `curve.cuh`):

    G1    9.1 a mixed addition (6 products, 2 squares, one double product), 13.1 an addition
    G2   22.7 a mixed addition (6 products of 2.5, 2 squares of 2, one double product of 3.9), 32.6 an addition

A uniform scalar has an entry, one mixed addition, in each of ceil(255 / c) windows; a bucket costs two additions in the
end. With room for all tables an H100 (132 multiprocessors) gets these plans. The time is a bound, not a measurement:
the multiplications at the 61 G/s that the clock, 64 integer multiply-adds a cycle and half rate for wide ones allow.

                          c   windows   entries   buckets   multiplications    at 61 G/s   tables    workspace
    G1 2^15, 64 proofs   15        17    35.7 M     1.0 M   324 + 27 million      5.8 ms    36 MB      0.4 GB
    G1 2^20              20        13    13.6 M     0.5 M   124 + 14              2.3 ms   0.9 GB      0.2 GB
    G1 2^22              20        13    54.5 M     0.5 M   496 + 14              8.4 ms   3.5 GB      0.5 GB
    G2 2^15, 64 proofs   15        17    35.7 M     1.0 M   809 + 68             14.4 ms    71 MB      0.6 GB
    G2 2^20              19        14    14.7 M     0.3 M   333 + 17              5.7 ms   1.9 GB      0.2 GB

Sorting comes on top: an atomic, a rank written and read and an index written and read for each entry, assumed at 0.06
ns. A witness is mostly bits and small numbers: their entries lie in the lowest windows, and zeros have none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from prover.errors import DeviceOutOfMemory

SCALAR_BITS = 254
LEAST_WINDOW_BITS = 2
MOST_WINDOW_BITS = 22

# Of the kernels; see msm_sort.cu and msm_kernels.cuh.
RECODE_THREADS = 256
SCAN_THREADS = 256
SCAN_SPAN = 8 * SCAN_THREADS
SIZE_CLASSES = 1024
ORDER_SPAN = 4096
THREADS = 128

# Tunables. Multiplications a second and multiprocessor; microseconds a multiplication takes a thread that waits for
# each; microseconds a launch; nanoseconds to sort an entry, and to clear, scan, order and fill a bucket.
_RATE_US = 460.0
_LATENCY_US = 0.3
_LAUNCH_US = 4.0
_ENTRY_NS = 0.06
_BUCKET_NS = 0.2
_LAUNCHES = 14
# Entries a thread adds up at most, in multiples of an average bucket, and at least.
_LARGE_FACTOR = 2
_LEAST_LARGE = 32
_MOST_LARGE = SIZE_CLASSES - 1
_MOST_LINE_WIDTH = 32
# Entries, buckets and lanes are counted in 32 bits, table rows in 31.
_MOST_INDEX = 1 << 31
_ALIGNMENT = 256


@dataclass(frozen=True)
class Group:
    """words: uint64 words of an affine point; mixed, full: multiplications of an addition; threads a multiprocessor."""

    name: str
    words: int
    mixed: float
    full: float
    threads: int

    @property
    def unit(self) -> str:
        return f"msm_{self.name}"

    @property
    def point_bytes(self) -> int:
        return 8 * self.words

    @property
    def sum_bytes(self) -> int:
        """Of a point in XYZZ coordinates."""
        return 16 * self.words


G1 = Group("g1", 8, mixed=9.1, full=13.1, threads=512)
G2 = Group("g2", 16, mixed=22.7, full=32.6, threads=256)


@dataclass(frozen=True)
class CudaPlan:
    """See the module; lengths are in elements.

    count: bases; tables: copies of the bases, multiplied; proofs, rows: how many proofs and bases a launch takes at
    most; streamed: the bases stay on the host, and `rows` of them are copied in each turn; large: entries from which on
    a bucket is cut into pieces.
    """

    group: Group
    count: int
    window_bits: int
    tables: int
    proofs: int
    rows: int
    streamed: bool
    large: int
    multiprocessors: int

    @property
    def windows(self) -> int:
        """Windows that hold the magnitude of a scalar in signed digits, with one bit for the last carry."""
        return windows_for(self.window_bits)

    @property
    def sets(self) -> int:
        """Bucket sets of a proof."""
        return -(-self.windows // self.tables)

    @property
    def table_doublings(self) -> int:
        """Doublings from a table to the next."""
        return self.window_bits * self.sets

    @property
    def set_buckets(self) -> int:
        return 1 << (self.window_bits - 1)

    @property
    def buckets(self) -> int:
        return self.proofs * self.sets * self.set_buckets

    @property
    def entries(self) -> int:
        """Digits of a launch, if none is zero."""
        return self.proofs * self.rows * self.windows

    @property
    def large_buckets(self) -> int:
        """The most buckets with more than `large` entries that there can be; at least one, for the arrays' sake."""
        return max(1, min(self.buckets, self.entries // (self.large + 1)))

    @property
    def pieces(self) -> int:
        """The most pieces of at most `large` entries that they are cut into."""
        return self.entries // self.large + self.large_buckets

    @property
    def scan_blocks(self) -> int:
        return -(-(self.buckets + 1) // SCAN_SPAN)

    @property
    def row_bits(self) -> int:
        """A set's buckets as 2^row_bits rows of 2^column_bits."""
        return (self.window_bits - 1) // 2

    @property
    def column_bits(self) -> int:
        return self.window_bits - 1 - self.row_bits

    @property
    def lines(self) -> int:
        """Rows and columns of all sets."""
        return self.proofs * self.sets * ((1 << self.row_bits) + (1 << self.column_bits))

    @property
    def line_width(self) -> int:
        """Threads that sum a line: as many as keep the GPU busy."""
        wanted = self.multiprocessors * self.group.threads // self.lines
        most = min(_MOST_LINE_WIDTH, 1 << self.row_bits >> 1)
        return max(1, min(most, 1 << wanted.bit_length() >> 1))

    @property
    def bit_threads(self) -> int:
        """Threads that sum the lines whose weight has a bit."""
        return 32 if self.column_bits <= 7 or self.proofs > 1 else THREADS

    @property
    def table_bytes(self) -> int:
        return 0 if self.streamed else self.tables * self.count * self.group.point_bytes

    @cached_property
    def layout(self) -> dict[str, tuple[int, int]]:
        """Offset and bytes of each array in the workspace.

        `starts`, `sizes` and `large_total` are cleared together. `ranks` are done with before `partial_sums` are made.
        """
        sum_bytes = self.group.sum_bytes
        sizes = {
            "starts": 4 * (self.buckets + 1),
            "sizes": 4 * SIZE_CLASSES,
            "large_total": 8,
            "block_sums": 4 * self.scan_blocks,
            "order": 4 * self.buckets,
            "large_buckets": 4 * self.large_buckets,
            "large_pieces": 4 * self.large_buckets,
            "sorted": 4 * self.entries,
            "sums": sum_bytes * self.buckets,
            "lines": sum_bytes * self.lines,
            "bits": sum_bytes * self.proofs * self.sets * self.window_bits,
            "set_sums": sum_bytes * self.proofs * self.sets,
            "bases": self.group.point_bytes * self.rows if self.streamed else 0,
            "ranks": max(4 * self.entries, sum_bytes * self.pieces),
        }
        layout, offset = {}, 0
        for name, size in sizes.items():
            layout[name] = (offset, size)
            offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        offset, _ = layout["ranks"]
        layout["partial_sums"] = (offset, sum_bytes * self.pieces)
        return layout

    @property
    def workspace_bytes(self) -> int:
        offset, size = self.layout["ranks"]
        return offset + -(-size // _ALIGNMENT) * _ALIGNMENT

    def for_proofs(self, proofs: int) -> CudaPlan:
        """The same plan for fewer proofs a launch; it needs less memory."""
        return self if proofs == self.proofs else replace(self, proofs=proofs)

    def microseconds(self, batch: int) -> float:
        """A model of the time for `batch` proofs with uniform scalars, for choosing between plans."""
        launches = -(-batch // self.proofs)
        turns = launches * max(1, -(-self.count // self.rows))
        rate = self.multiprocessors * _RATE_US
        entries = batch * self.count * self.windows
        buckets = batch * self.sets * self.set_buckets
        # A thread's own chain of additions is a limit where there are few threads.
        chain = launches * entries / buckets
        add = max(entries * self.group.mixed / rate, chain * self.group.mixed * _LATENCY_US)
        line = (1 << self.column_bits) / self.line_width + self.line_width.bit_length()
        fold = line + (1 << self.column_bits) / 2 / self.bit_threads + self.bit_threads.bit_length() + self.window_bits
        fold += self.window_bits * (self.sets - 1)
        reduce = max(2 * buckets * self.group.full / rate, launches * fold * self.group.full * _LATENCY_US)
        sort = (entries * _ENTRY_NS + buckets * _BUCKET_NS) / 1000
        return add + reduce + sort + turns * _LAUNCHES * _LAUNCH_US


def windows_for(window_bits: int) -> int:
    return -(-(SCALAR_BITS + 1) // window_bits)


def make_plan(
    group: Group,
    count: int,
    batch: int,
    table_bytes: int,
    workspace_bytes: int,
    multiprocessors: int,
    window_bits: int | None = None,
    tables: int | None = None,
    proofs: int | None = None,
    rows: int | None = None,
) -> CudaPlan:
    """The fastest plan for `count` bases and about `batch` proofs at a time.

    table_bytes: memory for the bases and their multiples, which stay on the device; where not even the bases fit, they
    are streamed. workspace_bytes: memory for everything else, in use during a multiplication only. window_bits (2 to
    22), tables, proofs, rows: override the choice; `tables` still obeys `table_bytes`, proofs and rows are upper
    limits. Raises DeviceOutOfMemory where no plan fits the workspace.
    """
    if window_bits is not None and not LEAST_WINDOW_BITS <= window_bits <= MOST_WINDOW_BITS:
        raise ValueError(f"window_bits must be {LEAST_WINDOW_BITS} to {MOST_WINDOW_BITS}, got {window_bits}")
    if batch < 1:
        raise ValueError(f"a batch has at least one proof, got {batch}")
    sizes = range(LEAST_WINDOW_BITS, MOST_WINDOW_BITS + 1) if window_bits is None else [window_bits]
    fitting: list[CudaPlan] = []
    for bits in sizes:
        for copies in _table_counts(group, count, bits, table_bytes, tables):
            plan = _fit(group, count, batch, bits, copies, workspace_bytes, multiprocessors, proofs, rows)
            if plan is not None:
                fitting.append(plan)
    if not fitting:
        raise DeviceOutOfMemory(
            f"a multi-scalar multiplication in {group.name.upper()} with {count:,} points does not fit into "
            f"{workspace_bytes:,} bytes; give it more device memory, or fewer proofs at a time"
        )
    return min(fitting, key=lambda plan: plan.microseconds(batch))


def _table_counts(group: Group, count: int, window_bits: int, table_bytes: int, wanted: int | None) -> list[int]:
    """Numbers of tables worth trying: the most that fit, where more would not save a bucket set. Zero is streaming."""
    windows = windows_for(window_bits)
    most = min(windows, table_bytes // (max(1, count) * group.point_bytes), _MOST_INDEX // max(1, count))
    if wanted is not None:
        most = min(most, max(1, wanted))
    if most == 0:
        return [0]
    sets = -(-windows // most)
    return [-(-windows // sets)]


def _fit(
    group: Group,
    count: int,
    batch: int,
    window_bits: int,
    tables: int,
    workspace_bytes: int,
    multiprocessors: int,
    most_proofs: int | None,
    most_rows: int | None,
) -> CudaPlan | None:
    """As many proofs at a time as possible, with as many bases as then fit; None where not even one does."""
    windows = windows_for(window_bits)
    sets = -(-windows // max(1, tables))
    at_most = min(max(1, count), most_rows or count or 1)
    # A turn over few bases costs as much as one over many: rather fewer proofs than less of the bases than this.
    enough = min(at_most, 1 << (window_bits - 1))
    proofs = min(batch, most_proofs or batch)
    while True:
        best = None
        low, high = 1, at_most
        while low <= high:
            rows = (low + high) // 2
            plan = CudaPlan(
                group=group,
                count=count,
                window_bits=window_bits,
                tables=max(1, tables),
                proofs=proofs,
                rows=rows,
                streamed=tables == 0,
                large=_large(rows * windows / (sets << (window_bits - 1))),
                multiprocessors=multiprocessors,
            )
            fits = plan.workspace_bytes <= workspace_bytes and plan.entries < _MOST_INDEX and plan.buckets < _MOST_INDEX
            if fits:
                best, low = plan, rows + 1
            else:
                high = rows - 1
        if best is not None and (best.rows >= enough or proofs == 1):
            return best
        if proofs == 1:
            return None
        proofs = math.ceil(proofs / 2)


def _large(average: float) -> int:
    """Entries from which on a bucket is large; uniform scalars hardly ever fill a bucket so far."""
    return min(_MOST_LARGE, max(_LEAST_LARGE, int(_LARGE_FACTOR * average) + 16))
