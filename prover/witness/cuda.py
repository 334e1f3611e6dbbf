"""Witnesses on a GPU: runs a circuit's witness program for a batch of statements, and checks the constraints.

Arrays of the device are (rows, batch, 8), uint32: proof index inside, as the sums and the quotient take a witness. The
program runs in steps, several threads a proof (`prover.witness.schedule_cuda`); all proofs of a launch take the same
steps, so a batch takes as long as one statement until the GPU is full. A `spend` is 9,517 steps of about 800 cycles and
628 inversions of about 30,000: an estimate of 13 ms at 1.98 GHz, against about 10 ms a statement on one thread of a
CPU. So a single witness is better made on the CPU, and a batch here.

A statement that cannot be proved does not fail its batch: what is wrong with it is reported in its place.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prover.circuit.compile import Circuit
from prover.errors import InputError, ProverError, UnsatisfiedError
from prover.kernels.cuda.device import Array, Device
from prover.limbs import to_limbs
from prover.r1cs import SparseMatrix
from prover.witness.inputs import flatten_inputs
from prover.witness.schedule_cuda import WORKERS, make_schedule

# Entries of the three matrices in one row above which a warp shares the row; a thread takes about 0.1 ms for as many.
LONG_ROW = 256

_UNIT = "witness"
_THREADS = 256
_WARP = 32
_NO_FAILURE = 0


class DeviceWitness:
    """A circuit's witness program and constraints on `device`. Belongs to the device's thread.

    Making one takes about a second for 50,000 instructions.
    """

    def __init__(self, device: Device, circuit: Circuit) -> None:
        self._device = device
        self._circuit = circuit
        schedule = make_schedule(circuit.program)
        self.n_wires = schedule.n_wires
        self.n_inputs = circuit.program.n_inputs
        self.n_scratch = max(1, schedule.n_rows - schedule.n_wires)
        """Rows of the array that `compute` works in."""
        self._program = [
            device.upload(schedule.step_ptr),
            np.uint32(schedule.n_steps),
            device.upload(_not_empty(schedule.operations)),
            device.upload(_not_empty(schedule.terms)),
            self._montgomery(circuit.program.constants),
        ]
        r1cs = circuit.r1cs
        matrices = (r1cs.a, r1cs.b, r1cs.c)
        self._matrices = [array for matrix in matrices for array in self._upload_matrix(matrix)]
        lengths = sum(np.diff(matrix.row_ptr) for matrix in matrices)
        order = np.argsort(lengths, kind="stable").astype(np.uint32)
        n_short = int(np.count_nonzero(lengths <= LONG_ROW))
        self._checks = [
            (name, len(rows), lanes, device.upload(rows))
            for name, lanes, rows in (
                ("witness_check", 1, order[:n_short]),
                ("witness_check_long", _WARP, order[n_short:]),
            )
            if len(rows)
        ]
        for name in ("witness_inputs", "witness_run", "witness_plain", "witness_check", "witness_check_long"):
            device.kernel(_UNIT, name)

    @property
    def nbytes(self) -> int:
        """Device memory that is kept."""
        arrays = [*self._program, *self._matrices, *(rows for *_, rows in self._checks)]
        return sum(array.nbytes for array in arrays if not isinstance(array, np.generic))

    def bytes_per_proof(self) -> int:
        """Device memory of the arrays that `compute` takes, for each proof of a batch."""
        return 32 * (self.n_wires + self.n_scratch + self.n_inputs) + 8

    def compute(self, inputs: Array, witness: Array, scratch: Array, failures: Array, check: bool = True) -> None:
        """Queue the witnesses of a batch; nothing is allocated, so the sequence can be captured.

        inputs: uint32 (n_inputs, batch, 8), plain; secret. witness, written: uint32 (n_wires, batch, 8), plain and
        canonical; secret. scratch, overwritten: uint32 (n_scratch, batch, 8). failures, written: uint32 (2, batch), see
        `outcomes`; without `check` constraints are taken for granted.
        """
        batch = inputs.shape[1]
        if inputs.shape != (self.n_inputs, batch, 8) or witness.shape != (self.n_wires, batch, 8):
            raise ValueError(f"a batch has {self.n_inputs} rows of inputs and {self.n_wires} wires")
        if scratch.shape != (self.n_scratch, batch, 8) or failures.shape != (2, batch):
            raise ValueError(f"scratch has {self.n_scratch} rows, and failures are two, one number a proof")
        count = np.uint32(batch)
        self._device.fill_zero(failures)
        self._launch(
            "witness_inputs",
            (self.n_inputs + 1) * batch,
            [witness, failures[0], inputs, np.uint32(self.n_inputs), count],
        )
        proofs = proofs_of_a_block(batch)
        self._device.launch(
            self._device.kernel(_UNIT, "witness_run"),
            -(-batch // proofs),
            max(_WARP, proofs * WORKERS),
            [witness, scratch, np.uint32(self.n_wires), count, np.uint32(proofs), *self._program],
        )
        self._launch("witness_plain", self.n_wires * batch, [witness, np.uint32(self.n_wires * batch)])
        if check:
            for name, n_constraints, lanes, order in self._checks:
                self._launch(
                    name,
                    n_constraints * batch * lanes,
                    [failures[1], count, order, np.uint32(n_constraints), *self._matrices, witness],
                )

    def outcomes(self, failures: np.ndarray) -> list[ProverError | None]:
        """What is wrong with each statement of a batch, from a host copy of `compute`'s failures; None for nothing.

        Errors are InputError for an input that is not below r, or UnsatisfiedError: they name places and no values.
        """
        batch = failures.shape[1]
        return [self._outcome(place, batch, *failures[:, place].tolist()) for place in range(batch)]

    def _outcome(self, place: int, batch: int, bad_input: int, broken: int) -> ProverError | None:
        which = f"statement {place} of the batch" if batch > 1 else "the inputs"
        if bad_input != _NO_FAILURE:
            name = self._circuit.signal_names()[0xFFFFFFFF - bad_input]
            return InputError(f"the input {name} must be at least 0 and below the field's modulus")
        if broken != _NO_FAILURE:
            scope = self._circuit.place_of(0xFFFFFFFF - broken)
            return UnsatisfiedError(f"{self._circuit.name}: {which} cannot be proved; false at: {scope}")
        return None

    def solve_each(self, inputs: Sequence[Mapping[str, Any]]) -> tuple[Array, list[ProverError | None]]:
        """The witnesses of a list of statements, and what is wrong with each (None: nothing).

        Inputs are by signal name, as `prover.witness.cpu.solve` takes them. Returns uint32 (n_wires, batch, 8) on the
        device, plain; secret. The witness of a wrong statement is not one.
        """
        batch = len(inputs)
        flat = np.zeros((self.n_inputs, batch, 4), dtype=np.uint64)
        wrong: dict[int, ProverError] = {}
        for place, mapping in enumerate(inputs):
            try:
                flat[:, place] = to_limbs(flatten_inputs(self._circuit, mapping))
            except InputError as error:
                wrong[place] = error
        witness = self._device.empty((self.n_wires, batch, 8), np.uint32)
        scratch = self._device.empty((self.n_scratch, batch, 8), np.uint32)
        failures = self._device.empty((2, batch), np.uint32)
        self.compute(self._device.upload(flat.view(np.uint32)), witness, scratch, failures)
        found = self.outcomes(self._device.download(failures))
        return witness, [wrong.get(place, each) for place, each in enumerate(found)]

    def solve(self, inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """As `prover.witness.cpu.solve`: uint64 (batch, n_wires, 4), plain; raises the first statement's error."""
        batch = [inputs] if isinstance(inputs, Mapping) else list(inputs)
        if not batch:
            return np.empty((0, self.n_wires, 4), dtype=np.uint64)
        witnesses, outcomes = self.solve_each(batch)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return np.ascontiguousarray(self._device.download(witnesses).view(np.uint64).transpose(1, 0, 2))

    def _launch(self, name: str, threads: int, arguments: list[object]) -> None:
        if threads >= 1 << 32:
            raise ValueError("the batch is too large for one launch; prove fewer statements at once")
        self._device.launch(self._device.kernel(_UNIT, name), -(-threads // _THREADS), _THREADS, arguments)

    def _montgomery(self, values: np.ndarray) -> Array:
        """A table on the device in Montgomery form, uint32 (n, 8), of plain values, uint64 (n, 4)."""
        values = _not_empty(np.ascontiguousarray(values, dtype=np.uint64))
        table = self._device.upload(values.view(np.uint32))
        self._launch("witness_montgomery", len(values), [table, np.uint32(len(values))])
        return table

    def _upload_matrix(self, matrix: SparseMatrix) -> tuple[Array, Array, Array]:
        return (
            self._device.upload(matrix.row_ptr.astype(np.uint32)),
            self._device.upload(_not_empty(matrix.col.astype(np.uint32))),
            self._montgomery(matrix.value),
        )


def proofs_of_a_block(batch: int) -> int:
    """How many proofs a block of `witness_run` takes: whole warps where the batch is large enough.

    The threads of a warp then run the same operation, each for another proof. Fewer proofs in more blocks would not be
    faster: a block waits for its slowest chain, and a warp whose threads run different operations runs them in turn.
    """
    return min(_WARP, 1 << (batch - 1).bit_length())


def _not_empty(array: np.ndarray) -> np.ndarray:
    """The array, or one row of zeros for none: an array of no bytes has no address on some devices."""
    return array if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)
