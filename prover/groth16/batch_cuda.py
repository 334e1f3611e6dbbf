"""The arrays and launches that batches of proofs go through on a device.

There are two slots: while the proofs of one are computed, the witnesses of the next batch arrive in the other, on a
stream of their own. All arrays are made at once for the largest batch; a smaller one uses the front of each, with rows
as short as the batch. What is queued for a size and a slot is the same every time, so it is captured into a graph:
small circuits are bound by launches otherwise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from protocol.field import R
from prover.groth16.finish_cuda import Finish, halves
from prover.groth16.key_cuda import EXTRA_ROWS, SUMS, DeviceKey
from prover.groth16.statements_cuda import DeviceStatements
from prover.kernels.cuda.device import Array, Device, Graph
from prover.limbs import to_limbs
from prover.msm.cuda import Workspace

# Streams: proofs are computed on the first, witnesses arrive on the second, proofs leave on the third.
PROVING, ARRIVING, LEAVING = range(3)
SLOTS = 2

_BLOCK = 256
# Words of a sum in XYZZ coordinates.
_WORDS = {"a": 16, "b1": 16, "b2": 32, "c": 16}

# r and s of each proof: secret, as whoever knows them learns something of the witness.
Blindings = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class _Slot:
    """Elements of 32 bytes, uint32 (n, 8), for the largest batch; see `front`. The host's arrays are pinned.

    rows: the scalars, see key_cuda; arriving: the witnesses, one after another; halves: see finish_cuda; sums: by name,
    uint64 (batch, words), XYZZ coordinates.
    """

    rows: Array
    arriving: Array
    halves: Array
    sums: dict[str, Array]
    finish: Finish
    host_arriving: np.ndarray
    host_blindings: np.ndarray
    host_halves: np.ndarray


def front(elements: Any, *shape: int) -> Any:
    """The front of an array of elements in another shape: (*shape, 8)."""
    return elements[: int(np.prod(shape))].reshape(*shape, 8)


class Batches:
    """Proves up to `most` witnesses at a time under one key. Belongs to the device's thread.

    Raises DeviceOutOfMemory.
    """

    def __init__(self, device: Device, key: DeviceKey, most: int) -> None:
        self.most = most
        self._device = device
        self._key = key
        self._workspace = Workspace(device, key.workspace_bytes)
        self._interleave = device.kernel("interleave", "interleave")
        self._quotient = device.empty((key.quotient.domain_size * most, 8), np.uint32)
        self._polynomials = device.empty((int(np.prod(key.quotient.workspace_shape(most)[:-1])), 8), np.uint32)
        self._slots = [self._slot() for _ in range(SLOTS)]
        self._graphs: dict[tuple[int, int], Graph] = {}
        self._seen: set[tuple[int, int]] = set()
        self._next = 0

    def _slot(self) -> _Slot:
        device, most, wires = self._device, self.most, self._key.n_vars
        return _Slot(
            rows=device.empty(((wires + EXTRA_ROWS) * most, 8), np.uint32),
            arriving=device.empty((wires * most, 8), np.uint32),
            halves=device.empty((4 * most, 8), np.uint32),
            sums={name: device.empty((most, _WORDS[name]), np.uint64) for name in SUMS},
            finish=Finish(device, most),
            host_arriving=device.pinned((wires * most, 8), np.uint32),
            host_blindings=device.pinned((EXTRA_ROWS * most, 8), np.uint32),
            host_halves=device.pinned((4 * most, 8), np.uint32),
        )

    def begin(self, witnesses: Sequence[np.ndarray], blindings: Blindings) -> "Begun":
        """Queue the proofs of 1 to `most` witnesses, uint64 (n_vars, 4), plain; return where they will be.

        At most SLOTS batches may be begun and not taken.
        """
        return self._begin(len(witnesses), blindings, lambda number, rows: self._send(number, rows, witnesses))

    def begin_statements(
        self, statements: DeviceStatements, inputs: Sequence[np.ndarray], blindings: Blindings
    ) -> "Begun":
        """As `begin`, for statements by their inputs: uint64 (n_inputs, 4), plain."""
        return self._begin(
            len(inputs),
            blindings,
            lambda number, rows: statements.compute(number, inputs, rows.shape[1], rows),
        )

    def _begin(self, count: int, blindings: Blindings, arrive: Callable[[int, Array], Array | None]) -> "Begun":
        """arrive: queue what writes the witnesses to rows, uint32 (n_vars, size, 8), and return what became of them."""
        device, wires = self._device, self._key.n_vars
        number = self._next
        slot = self._slots[number]
        self._next = (number + 1) % SLOTS
        # Places without a proof of their own prove the last one again; nobody looks at the result.
        size = min(self.most, 1 << (count - 1).bit_length())
        host_blindings, host_halves = self._blindings(slot, blindings, size)
        with device.stream(ARRIVING):
            rows = front(slot.rows, wires + EXTRA_ROWS, size)
            failures = arrive(number, rows[1 : wires + 1])
            for row, values in zip((0, wires + 1, wires + 2), host_blindings, strict=True):
                device.upload_async(rows[row], values)
            device.upload_async(front(slot.halves, size, 4), host_halves)
            arrived = device.record()
        with device.stream(PROVING):
            device.wait(arrived)
            self._prove(number, size)
            proved = device.record()
        return Begun(device, slot.finish.proofs[:count], proved, failures)

    def _send(self, number: int, rows: Array, witnesses: Sequence[np.ndarray]) -> None:
        device, slot = self._device, self._slots[number]
        wires, size = rows.shape[:2]
        host = front(slot.host_arriving, size, wires)
        for place in range(size):
            host[place] = witnesses[min(place, len(witnesses) - 1)].view(np.uint32)
        arriving = front(slot.arriving, size, wires)
        device.upload_async(arriving, host)
        arguments = (arriving, rows, np.uint32(wires), np.uint32(size))
        device.launch(self._interleave, -(-wires * size // _BLOCK), _BLOCK, arguments)

    def _blindings(self, slot: _Slot, blindings: Blindings, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Fill the slot's host arrays; places without a proof of their own get zeros."""
        every = [*blindings, *[(0, 0)] * (size - len(blindings))]
        values = [*(r for r, _ in every), *(s for _, s in every), *(-r * s % R for r, s in every)]
        host_blindings = front(slot.host_blindings, EXTRA_ROWS, size)
        host_blindings[...] = to_limbs(values).view(np.uint32).reshape(host_blindings.shape)
        host_halves = front(slot.host_halves, size, 4)
        host_halves[...] = halves(every)
        return host_blindings, host_halves

    def _prove(self, number: int, size: int) -> None:
        slot, case = self._slots[number], (number, size)
        if case in self._graphs:
            self._graphs[case].launch()
        elif case not in self._seen or self._key.streamed:
            # The first time loads kernels, which a capture must not; streamed bases are copied between launches.
            self._seen.add(case)
            self._launches(slot, size)
        else:
            self._graphs[case] = self._device.capture(lambda: self._launches(slot, size))
            self._graphs[case].launch()

    def _launches(self, slot: _Slot, size: int) -> None:
        for _, step in self._steps(slot, size):
            step()

    def _steps(self, slot: _Slot, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
        """What a batch's proofs take, by name, in order."""
        key, domain, sums = self._key, self._key.quotient.domain_size, slot.sums
        rows = front(slot.rows, key.n_vars + EXTRA_ROWS, size)
        quotient = front(self._quotient, domain, size)
        polynomials = front(self._polynomials, 3, size, domain)
        witness = rows[1 : key.n_vars + 1]
        yield "quotient", lambda: key.quotient.compute(witness, quotient, polynomials)
        for name in SUMS:
            yield f"sum {name}", partial(key.sum, name, rows, quotient, self._workspace, sums[name])
        points = (sums["a"], sums["b1"], sums["b2"], sums["c"])
        yield "finish", lambda: slot.finish.launch(size, *points, slot.halves)

    def milliseconds(self, size: int) -> float:
        """What the launches for `size` proofs take on the device, with what the last batch left in the arrays."""
        with self._device.stream(PROVING), self._device.timer() as timer:
            self._prove(0, size)
        return timer.ms

    def steps(self, size: int) -> dict[str, float]:
        """Milliseconds of each step alone; after a first batch of this size, which loads kernels."""
        found = {}
        for name, step in self._steps(self._slots[0], size):
            with self._device.stream(PROVING):
                # As in a batch, where launching takes the device no time of its own.
                run = step if self._key.streamed else self._device.capture(step).launch
                with self._device.timer() as timer:
                    run()
            found[name] = timer.ms
        return found


@dataclass(frozen=True)
class Begun:
    """A batch on its way. failures: of statements, see DeviceStatements."""

    device: Device
    proofs: Array
    proved: Any
    failures: Array | None

    def take(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Wait for the proofs: uint64 (count, 32), see `finish_cuda.unpack_proofs`, and the failures if any.

        Errors of launches appear here.
        """
        with self.device.stream(LEAVING):
            self.device.wait(self.proved)
            failures = None if self.failures is None else self.device.download(self.failures)
            return self.device.download(self.proofs), failures
