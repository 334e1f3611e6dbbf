"""The number-theoretic transform over F_r on a GPU: many polynomials of one size in each launch, in place.

Polynomials are uint32 (count, n, 8): Montgomery form (R = 2^256), canonical, the bytes of a `.zkey`. As on a CPU
(`prover.ntt.cpu`) nothing is permuted: transforms go from natural to bit-reversed order or back.

`prover.ntt.plan_cuda` has the passes with their operation counts and the floors that follow; `ntt.cu` the kernels.
Besides the polynomials a transform reads the factors between its passes: from a full table, n values for the first
pass, where n is at most 2^FULL_TABLE_LOG, else as the product of two from tables of about sqrt(n) values, which costs
one more multiplication a value.
"""

from dataclasses import dataclass

import numpy as np

from protocol.field import R
from prover.kernels.cuda.device import Array, Device
from prover.limbs import to_limbs
from prover.ntt.plan_cuda import LARGEST_LOG_TILE, Pass, Plan, make_plan, tile_bytes

# Largest table of factors, 128 MiB; of this size there are three for the step to the coset.
FULL_TABLE_LOG = 22
LARGEST_LOG_SIZE = 24

_UNIT = "ntt"
_FILL_THREADS = 256
_MONTGOMERY = 1 << 256


@dataclass(frozen=True)
class _Factors:
    """As the kernels take them: source (ntt.cu, FactorSource), table, high table, low bits of an exponent."""

    source: int
    table: Array
    high: Array
    log_low: int

    @property
    def arguments(self) -> tuple[object, ...]:
        return np.uint32(self.source), self.table, self.high, np.uint32(self.log_low)

    @property
    def nbytes(self) -> int:
        return self.table.nbytes + (0 if self.high is self.table else self.high.nbytes)


_NONE, _ONE, _FULL, _TWO_LEVELS = range(4)


class Transforms:
    """Transforms of polynomials with 2^log_n coefficients, with their tables on `device`.

    Tables are made when first needed and kept. Not thread-safe. Raises ValueError unless 1 <= log_n <= 24.
    """

    def __init__(self, device: Device, log_n: int, full_table_log: int = FULL_TABLE_LOG) -> None:
        if not 1 <= log_n <= LARGEST_LOG_SIZE:
            raise ValueError(f"transforms have 2^1 to 2^{LARGEST_LOG_SIZE} values; got 2^{log_n}")
        self._device = device
        self._log_n = log_n
        self._full_table_log = full_table_log
        self._twiddles: dict[tuple[int, bool], Array] = {}
        self._between: dict[tuple[int, int, bool], _Factors] = {}
        self._coset: _Factors | None = None
        self._scale: _Factors | None = None

    @property
    def size(self) -> int:
        return 1 << self._log_n

    @property
    def table_bytes(self) -> int:
        """Device memory of the tables made so far."""
        factors = [*self._between.values(), *(each for each in (self._coset, self._scale) if each is not None)]
        return sum(each.nbytes for each in [*factors, *self._twiddles.values()])

    def plan(self, count: int) -> Plan:
        """How `count` polynomials are transformed."""
        return make_plan(self._log_n, count, self._device.multiprocessors, tile_bytes(LARGEST_LOG_TILE))

    def prepare(self) -> None:
        """Make all tables of the step to the coset now: a sequence that is captured must not make any."""
        for each in self.plan(1).passes:
            for inverse in (True, False):
                self._twiddle_table(each.log_radix, inverse)
                if each.log_stride:
                    self._factors(each, inverse)
        self._coset_factors()
        for kernel in ("ntt_frequency", "ntt_time", "ntt_extend"):
            self._device.kernel(_UNIT, kernel)

    def to_bit_reversed(self, values: Array, inverse: bool = False) -> None:
        """In place, (count, n, 8): coefficients -> values on the domain, or values -> coefficients with `inverse`.

        Natural order in; at place p afterwards is the value at w_n^rev(p), or coefficient rev(p).
        """
        plan = self._plan_for(values)
        for each in plan.passes[:-1]:
            self._run("ntt_frequency", values, plan, each, inverse, self._factors(each, inverse))
        last = self._scaling() if inverse else self._nothing(plan.passes[-1], inverse)
        self._run("ntt_frequency", values, plan, plan.passes[-1], inverse, last)

    def from_bit_reversed(self, values: Array) -> None:
        """In place, (count, n, 8): coefficient rev(p) at place p -> values on the domain in natural order."""
        plan = self._plan_for(values)
        self._run("ntt_time", values, plan, plan.passes[-1], False, self._nothing(plan.passes[-1], False))
        for each in reversed(plan.passes[:-1]):
            self._run("ntt_time", values, plan, each, False, self._factors(each, False))

    def extend_to_odd_coset(self, values: Array) -> None:
        """In place, (count, n, 8), natural order: values at w_n^i -> values at w_2n^(2i+1).

        As `prover.ntt.cpu.extend_to_odd_coset`, for every polynomial.
        """
        plan = self._plan_for(values)
        for each in plan.passes[:-1]:
            self._run("ntt_frequency", values, plan, each, True, self._factors(each, True))
        inner = plan.passes[-1]
        self._device.launch(
            self._device.kernel(_UNIT, "ntt_extend"),
            plan.blocks,
            plan.threads,
            [
                values,
                np.uint64(plan.count << self._log_n),
                self._twiddle_table(inner.log_radix, True),
                self._twiddle_table(inner.log_radix, False),
                *self._coset_factors().arguments,
                np.uint32(self._log_n),
                np.uint32(inner.log_radix),
                np.uint32(inner.log_groups),
            ],
            plan.shared_bytes,
        )
        for each in reversed(plan.passes[:-1]):
            self._run("ntt_time", values, plan, each, False, self._factors(each, False))

    def _plan_for(self, values: Array) -> Plan:
        if len(values.shape) != 3 or values.shape[1:] != (self.size, 8) or values.dtype != np.uint32:
            raise ValueError(f"polynomials are a uint32 array of shape (count, {self.size}, 8)")
        return self.plan(values.shape[0])

    def _run(self, kernel: str, values: Array, plan: Plan, each: Pass, inverse: bool, factors: _Factors) -> None:
        self._device.launch(
            self._device.kernel(_UNIT, kernel),
            plan.blocks,
            plan.threads,
            [
                values,
                np.uint64(plan.count << self._log_n),
                self._twiddle_table(each.log_radix, inverse),
                *factors.arguments,
                *map(np.uint32, (each.log_block, each.log_radix, each.log_columns, each.log_groups)),
            ],
            plan.shared_bytes,
        )

    def _twiddle_table(self, log_radix: int, inverse: bool) -> Array:
        key = (log_radix, inverse)
        if key not in self._twiddles:
            self._twiddles[key] = self._device.upload(_powers(_root(log_radix, inverse), 1 << log_radix))
        return self._twiddles[key]

    def _nothing(self, each: Pass, inverse: bool) -> _Factors:
        unread = self._twiddle_table(each.log_radix, inverse)
        return _Factors(_NONE, unread, unread, 0)

    def _scaling(self) -> _Factors:
        if self._scale is None:
            factor = self._device.upload(_powers(1, 1, first=pow(self.size, -1, R)))
            self._scale = _Factors(_ONE, factor, factor, 0)
        return self._scale

    def _factors(self, each: Pass, inverse: bool) -> _Factors:
        """Those between this pass and the next."""
        key = (each.log_block, each.log_radix, inverse)
        if key not in self._between:
            self._between[key] = self._table(_root(each.log_block, inverse), 1, each.log_block, each.log_radix)
        return self._between[key]

    def _coset_factors(self) -> _Factors:
        """w_2n^i / n for coefficient i."""
        if self._coset is None:
            scale = pow(self.size, -1, R)
            self._coset = self._table(_root(self._log_n + 1, False), scale, self._log_n, self._log_n)
        return self._coset

    def _table(self, root: int, scale: int, log_size: int, log_radix: int) -> _Factors:
        """Factors scale * root^e for exponents e < 2^log_size, at the places that `ntt_factors` gives them."""
        log_low = (log_size + 1) // 2
        low = self._device.upload(_powers(root, 1 << log_low, first=scale))
        high = self._device.upload(_powers(pow(root, 1 << log_low, R), 1 << (log_size - log_low)))
        if log_size > self._full_table_log:
            return _Factors(_TWO_LEVELS, low, high, log_low)
        table = self._device.empty((1 << log_size, 8), np.uint32)
        self._device.launch(
            self._device.kernel(_UNIT, "ntt_factors"),
            -(-(1 << log_size) // _FILL_THREADS),
            _FILL_THREADS,
            [table, low, high, *map(np.uint32, (log_low, log_size, log_radix))],
        )
        self._device.synchronize()
        return _Factors(_FULL, table, table, 0)


def _root(log_size: int, inverse: bool) -> int:
    """The root of unity of order 2^log_size of `prover.ntt.domain`, which needs no compiler here, or its inverse."""
    root = pow(5, (R - 1) >> log_size, R)
    return pow(root, -1, R) if inverse else root


def _powers(base: int, count: int, first: int = 1) -> np.ndarray:
    """uint32 (count, 8), Montgomery form: first * base^i."""
    values = []
    power = first * _MONTGOMERY % R
    for _ in range(count):
        values.append(power)
        power = power * base % R
    return to_limbs(values).view(np.uint32)
