"""The quotient of `prover.groth16.quotient` on a GPU, for a batch of witnesses that stays there.

A w and B w are sparse products, C w is their product row by row (where the witness satisfies the constraints), and the
six transforms are three steps to the odd coset, all polynomials of the batch in each launch. For a domain of n = 2^20
and one proof: 60 n multiplications and 576 MiB in the transforms, and in `quotient_combine` 128 MiB and as much as
1.5 n multiplications. Multiplying within the last pass of the transforms would save at most 160 MiB, 0.06 ms of over
1.1 ms at 3 * 10^12 bytes/s, but needs the tiles of three polynomials at once: one block on a multiprocessor instead of
two. So it is a launch of its own, which also turns the result into scalars, proof index innermost.

Short rows take a thread for each proof, rows of equal length side by side; a row with more than LONG_ROW entries takes
a warp for each proof.
"""

import numpy as np

from prover.kernels.cuda.device import Array, Device
from prover.ntt.cuda import Transforms
from prover.r1cs import SparseMatrix

# Entries of both matrices in one row above which a warp shares the row; a thread takes about 0.02 ms for as many.
LONG_ROW = 64

_UNIT = "quotient"
_THREADS = 256
_WARP = 32
# Proofs whose scalars make a line of 128 bytes.
_LOG_PROOFS_OF_A_LINE = 2


class DeviceQuotient:
    """A circuit's matrices and its domain's tables on `device`; computes the scalars for a key's H points.

    a, b: the matrices of a ZKey (coefficient * R^2, a row for each element of the domain, whose size is a power of two
    of at least 2); n_wires: the length of a witness. Raises ValueError for matrices that do not fit together.
    """

    def __init__(self, device: Device, a: SparseMatrix, b: SparseMatrix, n_wires: int) -> None:
        if a.rows != b.rows or a.rows < 2 or a.rows & (a.rows - 1):
            raise ValueError("the matrices have a row for each element of a domain of 2^k elements, k at least 1")
        for matrix in (a, b):
            if matrix.nnz and int(matrix.col.max()) >= n_wires:
                raise ValueError("a matrix entry refers to a wire beyond the end of the witness")
        self._device = device
        self._n = a.rows
        self._n_wires = n_wires
        self._transforms = Transforms(device, a.rows.bit_length() - 1)
        lengths = np.diff(a.row_ptr) + np.diff(b.row_ptr)
        order = np.argsort(lengths, kind="stable").astype(np.uint32)
        n_short = int(np.count_nonzero(lengths <= LONG_ROW))
        self._rows = [
            (name, len(rows), lanes, device.upload(rows))
            for name, lanes, rows in (
                ("quotient_rows", 1, order[:n_short]),
                ("quotient_long_rows", _WARP, order[n_short:]),
            )
            if len(rows)
        ]
        self._matrices = [*upload_matrix(device, a), *upload_matrix(device, b)]
        self._transforms.prepare()
        for name in ("quotient_rows", "quotient_long_rows", "quotient_combine"):
            device.kernel(_UNIT, name)

    @property
    def domain_size(self) -> int:
        return self._n

    @property
    def nbytes(self) -> int:
        """Device memory that is kept."""
        rows = sum(rows.nbytes for _, _, _, rows in self._rows)
        return rows + sum(array.nbytes for array in self._matrices) + self._transforms.table_bytes

    def workspace_shape(self, batch: int) -> tuple[int, int, int, int]:
        """The shape of the uint32 array that `compute` works in."""
        return 3, batch, self._n, 8

    def compute(self, witness: Array, scalars: Array, workspace: Array) -> None:
        """Queue the quotients of a batch; nothing is allocated, so the sequence can be captured.

        witness: uint32 (n_wires, batch, 8), plain and canonical. scalars, written: uint32 (n, batch, 8), plain.
        workspace: uint32, of `workspace_shape(batch)`, overwritten.
        """
        batch = witness.shape[1]
        if witness.shape != (self._n_wires, batch, 8) or scalars.shape != (self._n, batch, 8):
            raise ValueError(f"the witness must have {self._n_wires} wires, and there are {self._n} scalars a proof")
        if workspace.shape != self.workspace_shape(batch):
            raise ValueError(f"the workspace must have the shape {self.workspace_shape(batch)}")
        n, proofs = np.uint32(self._n), np.uint32(batch)
        for name, count, lanes, rows in self._rows:
            self._launch(
                name, count * batch * lanes, [workspace, n, proofs, rows, np.uint32(count), *self._matrices, witness]
            )
        self._transforms.extend_to_odd_coset(workspace.reshape(3 * batch, self._n, 8))
        log_proofs = min(_LOG_PROOFS_OF_A_LINE, (batch - 1).bit_length())
        groups = -(-batch >> log_proofs)
        self._launch(
            "quotient_combine",
            (groups * self._n) << log_proofs,
            [scalars, workspace, n, proofs, np.uint32(log_proofs)],
        )

    def _launch(self, name: str, threads: int, arguments: list[object]) -> None:
        if threads >= 1 << 32:
            raise ValueError("the batch is too large for one launch; prove fewer statements at once")
        self._device.launch(self._device.kernel(_UNIT, name), -(-threads // _THREADS), _THREADS, arguments)


def upload_matrix(device: Device, matrix: SparseMatrix) -> tuple[Array, Array, Array]:
    """row_ptr, columns and values as kernels take them: uint32 (rows + 1,), (nnz,) and (nnz, 8)."""
    if matrix.nnz >= 1 << 32:
        raise ValueError("a matrix with 2^32 entries or more does not fit")
    # An array of no bytes has no address on some devices.
    padding = int(matrix.nnz == 0)
    column = np.concatenate([matrix.col, np.zeros(padding, matrix.col.dtype)]).astype(np.uint32)
    value = np.concatenate([matrix.value, np.zeros((padding, 4), np.uint64)])
    return (
        device.upload(matrix.row_ptr.astype(np.uint32)),
        device.upload(column),
        device.upload(np.ascontiguousarray(value, dtype=np.uint64).view(np.uint32)),
    )
