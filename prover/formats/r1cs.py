"""`.r1cs`: a constraint system as circom writes it.

    1 header: r, wires, public outputs, public inputs, private inputs, labels, constraints
    2 constraints: for A, B, C of each in turn, the number of entries (u32), then each one's wire (u32) and coefficient
    3 the label of every wire

Source: https://github.com/iden3/r1csfile/blob/master/doc/r1cs_bin_format.md
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from protocol.field import R
from prover.errors import FormatError
from prover.formats.binfile import (
    FileFormat,
    Section,
    SectionFile,
    array_section,
    bytes_section,
    open_sections,
    prime_bytes,
    require_shape,
    write_sections,
)
from prover.formats.field_arrays import first_not_below
from prover.formats.files import AnyPath
from prover.formats.row_order import interleave
from prover.limbs import LIMBS
from prover.r1cs import R1CS, SparseMatrix

R1CS_FILE = FileFormat(b"r1cs", 1, "a constraint system (.r1cs)", "compile the circuit again")

_HEADER_BYTES = 64
_MAX_CONSTRAINTS = 1 << 28
_ENTRY_WORDS = 9
"""32-bit words of an entry: a wire number and a coefficient of eight."""
_ROWS_PER_PIECE = 1 << 15
_CUSTOM_GATES = (4, 5)


def read_r1cs(path: AnyPath) -> R1CS:
    """Read a constraint system over the scalar field of BN254; the entries of each row come in ascending wire order.

    Raises FormatError, also for circuits with custom gates (Groth16 knows none) and for a row that names a wire twice,
    which snarkjs sums in a setup but not in a witness check.
    """
    with open_sections(path, R1CS_FILE) as file:
        header = file.cursor(1)
        header.prime(R)
        n_wires, n_outputs, n_public_inputs, n_private_inputs = (header.u32() for _ in range(4))
        n_labels, n_constraints = header.u64(), header.u32()
        header.finish()
        # Circom counts private inputs that no constraint uses but gives them no wire, so those may outnumber the wires.
        if n_wires < 1 + n_outputs + n_public_inputs:
            raise header.error(f"{n_outputs + n_public_inputs} public signals do not fit into {n_wires} wires")
        if n_constraints > _MAX_CONSTRAINTS:
            raise header.error(f"{n_constraints} constraints are more than BN254 can prove (2^28)")
        _refuse_custom_gates(file)
        labels = _read_labels(file, n_wires, n_labels)
        a, b, c = _read_constraints(file, n_constraints, n_wires)
        return R1CS(n_wires, n_outputs, n_public_inputs, n_private_inputs, a, b, c, labels, n_labels)


def _refuse_custom_gates(file: SectionFile) -> None:
    for number in _CUSTOM_GATES:
        if number in file and file.cursor(number).u32() != 0:
            raise file.error("the circuit uses custom gates, which Groth16 cannot prove")


def _read_labels(file: SectionFile, n_wires: int, n_labels: int) -> np.ndarray:
    content = file.section(3)
    if len(content) != 8 * n_wires:
        raise file.error(f"section 3 has {len(content)} bytes for {n_wires} wires")
    labels = content.view("<u8").copy()
    if labels[0] != 0 or np.any(labels >= n_labels):
        raise file.error("section 3 maps a wire to a label that does not exist")
    return labels


def _read_constraints(file: SectionFile, n_constraints: int, n_wires: int) -> list[SparseMatrix]:
    content = file.section(2)
    starts = _combination_starts(file, content, 3 * n_constraints)
    words = content.view("<u4")
    counts = words[starts].astype(np.int64)
    is_entry = np.ones(len(words), dtype=bool)
    is_entry[starts] = False
    entries = words[is_entry].reshape(-1, _ENTRY_WORDS)
    if np.any(entries[:, 0] >= n_wires):
        raise file.error("section 2 names a wire that does not exist")
    matrix_of_entry = np.repeat(np.arange(len(counts)) % 3, counts)
    matrices = []
    for number in range(3):
        own = entries[matrix_of_entry == number]
        row_ptr = np.zeros(n_constraints + 1, dtype=np.int64)
        np.cumsum(counts[number::3], out=row_ptr[1:])
        value = np.ascontiguousarray(own[:, 1:]).view("<u8")
        if first_not_below(value, R) is not None:
            raise file.error("section 2 holds a coefficient outside the field")
        try:
            matrices.append(_ascending(SparseMatrix(row_ptr, own[:, 0].copy(), value)))
        except FormatError as error:
            raise file.error(f"section 2: {error}") from error
    return matrices


def _combination_starts(file: SectionFile, content: np.ndarray, count: int) -> np.ndarray:
    """Where each linear combination begins, in 32-bit words.

    Each says only its own length, so they are walked one by one.
    """
    if len(content) % 4:
        raise file.error("section 2 is not a whole number of words")
    words = content.data.cast("I")
    if count > len(words):
        raise file.error(f"section 2 is too short for {count // 3} constraints")
    starts = np.empty(count, dtype=np.int64)
    position, end = 0, len(words)
    for index in range(count):
        if position >= end:
            raise file.error(f"section 2 ends inside constraint {index // 3}")
        starts[index] = position
        position += 1 + _ENTRY_WORDS * words[position]
    if position != end:
        raise file.error("section 2 does not end with its last constraint")
    return starts


def _ascending(matrix: SparseMatrix) -> SparseMatrix:
    """The matrix with every row in ascending wire order, as the format demands; FormatError for a wire named twice."""
    row = np.repeat(np.arange(matrix.rows), np.diff(matrix.row_ptr))
    col = matrix.col
    same_row = row[1:] == row[:-1]
    if np.any(same_row & (col[1:] < col[:-1])):
        order = np.lexsort((col, row))
        matrix = replace(matrix, col=col[order], value=matrix.value[order])
        col = matrix.col
    twice = np.flatnonzero(same_row & (col[1:] == col[:-1]))
    if len(twice):
        raise FormatError(f"constraint {row[twice[0]]} names a wire twice")
    return matrix


def write_r1cs(path: AnyPath, r1cs: R1CS) -> None:
    """Write a constraint system, atomically, byte for byte as circom would.

    Raises FormatError when the system contradicts itself, or the file cannot be written.
    """
    n_constraints = r1cs.n_constraints
    if len(r1cs.labels) != r1cs.n_wires:
        raise FormatError(f"{r1cs.n_wires} wires need as many labels, not {len(r1cs.labels)}")
    matrices = []
    for name, matrix in (("a", r1cs.a), ("b", r1cs.b), ("c", r1cs.c)):
        require_shape(f"{name}.row_ptr", matrix.row_ptr, (n_constraints + 1,), np.int64)
        require_shape(f"{name}.value", matrix.value, (matrix.nnz, LIMBS))
        if np.any(matrix.col >= r1cs.n_wires) or first_not_below(matrix.value, R) is not None:
            raise FormatError(f"matrix {name} names a wire that does not exist or a number outside the field")
        matrices.append(_ascending(matrix))
    header = prime_bytes(R) + b"".join(
        count.to_bytes(size, "little")
        for count, size in (
            (r1cs.n_wires, 4),
            (r1cs.n_outputs, 4),
            (r1cs.n_public_inputs, 4),
            (r1cs.n_private_inputs, 4),
            (r1cs.n_labels, 8),
            (n_constraints, 4),
        )
    )
    words = 3 * n_constraints + _ENTRY_WORDS * sum(matrix.nnz for matrix in matrices)
    sections = [
        Section(2, 4 * words, _constraint_pieces(matrices, n_constraints)),
        bytes_section(1, header),
        array_section(3, r1cs.labels.astype("<u8")),
    ]
    write_sections(path, R1CS_FILE, sections)


def _constraint_pieces(matrices: list[SparseMatrix], n_constraints: int) -> Iterator[bytes]:
    for start in range(0, n_constraints, _ROWS_PER_PIECE):
        stop = min(start + _ROWS_PER_PIECE, n_constraints)
        counts, places = interleave(matrices, start, stop)
        entries = np.empty((int(counts.sum()), _ENTRY_WORDS), dtype="<u4")
        for matrix, place in zip(matrices, places, strict=True):
            chosen = slice(matrix.row_ptr[start], matrix.row_ptr[stop])
            entries[place, 0] = matrix.col[chosen]
            entries[place, 1:] = np.ascontiguousarray(matrix.value[chosen]).view("<u4")
        lengths = counts.ravel()
        # The length of combination k stands before its entries and after k other lengths.
        length_places = np.arange(len(lengths)) + _ENTRY_WORDS * (np.cumsum(lengths) - lengths)
        words = np.empty(len(lengths) + entries.size, dtype="<u4")
        is_entry = np.ones(len(words), dtype=bool)
        is_entry[length_places] = False
        words[length_places] = lengths
        words[is_entry] = entries.ravel()
        yield words.tobytes()
