"""How a transform over F_r is divided into passes over device memory: plain Python, no device needed.

A transform of n = 2^k values is done in place by *passes*. A pass over blocks of 2^b values reads each block as a
matrix of 2^r rows, and transforms its columns: r of the b levels. What is left are independent blocks of 2^(b-r)
values, for the next pass; the last one transforms whole blocks of neighbours. This is the four-step transform
(D. H. Bailey, "FFTs in external or hierarchical memory", 1990) without its transpositions, since bit-reversed order is
welcome here.

A thread block holds a *tile* in shared memory: some columns of one matrix, or in the last pass several whole blocks.
Two columns of neighbours are 64 bytes, the least that memory hands out without waste.

Counts, for a pass of r levels made of radix-4 steps (see ntt.cu): a step multiplies once for each value, the one with
trivial factors a quarter, a radix-2 step (if r is odd) a half. Between passes each value is multiplied once more, and
moving to the coset is one more. So for n = 2^20 in two passes of ten levels:

    transform       (4.25 + 1 + 4.25) n             =  9.5 n multiplications,  2 passes of 64 MiB
    to the coset    (4.25 + 1 + 4.25 + 1 + 4.25 + 1 + 4.25) n = 20 n,          3 passes of 64 MiB

Floors of an H100 with 61 * 10^9 multiplications/s (an estimate, 136 wide multiply-adds each) and 3.0 * 10^12 bytes/s:
transform 0.163 ms of arithmetic and 0.045 ms of memory, to the coset 0.344 and 0.067 ms: arithmetic is the bound.
"""

from dataclasses import dataclass

ELEMENT_BYTES = 32

# Tunables. A tile of 2^11 values takes 64 KiB: two or three blocks live on a multiprocessor of 164 or 227 KiB.
LARGEST_LOG_TILE = 11
SMALLEST_LOG_TILE = 9
# Tiles are made smaller until there are this many blocks for each multiprocessor.
BLOCKS_PER_MULTIPROCESSOR = 2
LARGEST_BLOCK = 256
_WARP = 32

# The swizzle of ntt.cu permutes eight neighbours, so a smaller tile takes the space of eight values.
_LEAST_TILE_BYTES = 8 * ELEMENT_BYTES


@dataclass(frozen=True)
class Pass:
    """Blocks of 2^log_block values as matrices of 2^log_radix rows; all sizes are logarithms.

    A tile is 2^log_columns columns of one block, or 2^log_groups whole blocks.
    """

    log_block: int
    log_radix: int
    log_columns: int
    log_groups: int

    @property
    def log_stride(self) -> int:
        """Columns of a block: how far a row is from the next."""
        return self.log_block - self.log_radix

    @property
    def log_tile(self) -> int:
        return self.log_groups + self.log_radix + self.log_columns

    @property
    def multiplications(self) -> float:
        """Multiplications a value, without the factors between passes."""
        if self.log_radix == 1:
            return 0.0
        return self.log_radix % 2 * 0.5 + (self.log_radix // 2 - 1) + 0.25

    @property
    def butterflies(self) -> float:
        """Butterflies of two values, a value."""
        return self.log_radix / 2


@dataclass(frozen=True)
class Plan:
    """The passes of one launch sequence over `count` transforms of 2^log_n values, side by side in memory.

    A transform from natural order runs the passes in this order, one from bit-reversed order in reverse.
    """

    log_n: int
    count: int
    log_tile: int
    passes: tuple[Pass, ...]

    @property
    def threads(self) -> int:
        """Threads of a block: a thread for each four values of a tile, at most LARGEST_BLOCK."""
        return max(_WARP, min(LARGEST_BLOCK, (1 << self.log_tile) // 4))

    @property
    def shared_bytes(self) -> int:
        return tile_bytes(self.log_tile)

    @property
    def blocks(self) -> int:
        """Thread blocks of each launch."""
        return -(-(self.count << self.log_n) >> self.log_tile)

    @property
    def transform_multiplications(self) -> float:
        """Of one transform of every polynomial, factors read from full tables."""
        between = len(self.passes) - 1
        return (sum(each.multiplications for each in self.passes) + between) * (self.count << self.log_n)

    @property
    def extension_multiplications(self) -> float:
        """Of the step to the coset, factors read from full tables."""
        return 2 * self.transform_multiplications + (self.count << self.log_n)

    @property
    def transform_bytes(self) -> int:
        """Bytes of values read and written by one transform of every polynomial."""
        return 2 * len(self.passes) * ELEMENT_BYTES * (self.count << self.log_n)

    @property
    def extension_bytes(self) -> int:
        """The same of the step to the coset: the last pass there and the first one back are one."""
        return 2 * (2 * len(self.passes) - 1) * ELEMENT_BYTES * (self.count << self.log_n)


def tile_bytes(log_tile: int) -> int:
    """Shared memory of a tile."""
    return max(_LEAST_TILE_BYTES, ELEMENT_BYTES << log_tile)


def make_plan(log_n: int, count: int, multiprocessors: int, shared_bytes: int) -> Plan:
    """The passes for `count` transforms of 2^log_n values.

    multiprocessors: of the device; shared_bytes: what a block may have. Raises ValueError when that does not hold even
    the smallest tile.
    """
    largest = LARGEST_LOG_TILE
    while largest > SMALLEST_LOG_TILE and tile_bytes(largest) > shared_bytes:
        largest -= 1
    if tile_bytes(largest) > shared_bytes:
        raise ValueError(f"transforms need {tile_bytes(largest)} bytes of shared memory a block; got {shared_bytes}")
    radices = _radices(log_n, largest)
    log_tile = largest
    # Smaller tiles make more blocks; more passes they must not make.
    while (
        log_tile > SMALLEST_LOG_TILE
        and (count << log_n) >> log_tile < BLOCKS_PER_MULTIPROCESSOR * multiprocessors
        and len(_radices(log_n, log_tile - 1)) == len(radices)
    ):
        log_tile -= 1
    if len(radices) == 1:
        log_tile = max(log_n, min(log_tile, ((count << log_n) - 1).bit_length()))
    passes = []
    log_block = log_n
    for log_radix in radices:
        log_columns = min(log_tile - log_radix, log_block - log_radix)
        passes.append(Pass(log_block, log_radix, log_columns, log_tile - log_radix - log_columns))
        log_block -= log_radix
    return Plan(log_n, count, log_tile, tuple(passes))


def _radices(log_n: int, log_tile: int) -> list[int]:
    """Levels of each pass: as few and as equal as possible, and room for two columns in all but the last."""
    count = 1 if log_n <= log_tile else 1 + -(-(log_n - log_tile) // (log_tile - 1))
    small, larger = divmod(log_n, count)
    return [small] * (count - larger) + [small + 1] * larger
