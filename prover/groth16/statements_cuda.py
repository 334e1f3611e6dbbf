"""Statements of a batch on their way to a device, and their witnesses there.

What arrives is a statement's inputs, a few kilobytes instead of the witness's megabyte. The witness program and the
checks run on the stream that the batch arrives on, beside the proofs of the batch before.
"""

from collections.abc import Sequence

import numpy as np

from prover.circuit.compile import Circuit
from prover.errors import ProverError
from prover.kernels.cuda.device import Array, Device
from prover.witness.cuda import DeviceWitness


class DeviceStatements:
    """Up to `most` statements of a circuit at a time. Belongs to the device's thread. Raises DeviceOutOfMemory."""

    def __init__(self, device: Device, circuit: Circuit, most: int, slots: int) -> None:
        self._device = device
        self._witness = DeviceWitness(device, circuit)
        self._scratch = device.empty((self._witness.n_scratch * most, 8), np.uint32)
        self._inputs = device.empty((self._witness.n_inputs * most, 8), np.uint32)
        self._failures = [device.empty(2 * most, np.uint32) for _ in range(slots)]
        # The program's tables were made on another stream than the one that witnesses are computed on.
        device.synchronize()
        self._host_inputs = [device.pinned((self._witness.n_inputs * most, 8), np.uint32) for _ in range(slots)]

    @staticmethod
    def bytes_needed(circuit: Circuit, most: int) -> int:
        """Device memory, an upper bound: every variable has a row of scratch at most."""
        program, r1cs = circuit.program, circuit.r1cs
        rows = (program.n_registers + program.n_inputs + 1) * most * 32
        matrices = sum(36 * matrix.nnz + 4 * (matrix.rows + 1) for matrix in (r1cs.a, r1cs.b, r1cs.c))
        operations = 24 * program.n_registers + 8 * len(program.register) + 32 * len(program.constants)
        return rows + matrices + operations + 4 * r1cs.n_constraints + (1 << 20)

    def compute(self, slot: int, inputs: Sequence[np.ndarray], size: int, witness: Array) -> Array:
        """Queue the witnesses of the statements with these inputs, uint64 (n_inputs, 4), plain.

        witness, written: uint32 (n_wires, size, 8). The last statement takes the places that are left. Returns what
        `outcomes` is told from; it is written again for the slot's next batch.
        """
        device, solver = self._device, self._witness
        host = self._host_inputs[slot][: solver.n_inputs * size].reshape(solver.n_inputs, size, 8)
        for place in range(size):
            host[:, place] = inputs[min(place, len(inputs) - 1)].view(np.uint32)
        on_device = self._inputs[: solver.n_inputs * size].reshape(solver.n_inputs, size, 8)
        device.upload_async(on_device, host)
        scratch = self._scratch[: solver.n_scratch * size].reshape(solver.n_scratch, size, 8)
        failures = self._failures[slot][: 2 * size].reshape(2, size)
        solver.compute(on_device, witness, scratch, failures)
        return failures

    def outcomes(self, failures: np.ndarray) -> list[ProverError | None]:
        """What is wrong with each statement, None for nothing; failures: uint32 (2, size), from the device."""
        # One at a time: whose statements share a batch is not the caller's business.
        columns = (failures[:, place : place + 1] for place in range(failures.shape[1]))
        return [outcome for column in columns for outcome in self._witness.outcomes(column)]
