"""`.zkey`: a Groth16 proving key, with the record of its phase-2 ceremony.

    1 protocol: 1 for Groth16
    2 header: q, r, wires, public inputs, domain size, alpha1, beta1, beta2, gamma2, delta1, delta2
    3 IC        4 coefficients of A and B        5 A   6 B1   7 B2   8 C   9 H        10 ceremony record

Source: snarkjs, zkey_utils.js, zkey_new.js and zkey_contribute.js.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from protocol.field import Q, R
from prover.errors import FormatError
from prover.formats.binfile import (
    Cursor,
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
from prover.formats.contribution import Contributor, decode_contributor
from prover.formats.field_arrays import first_not_below
from prover.formats.files import AnyPath
from prover.formats.points import G1_WORDS, G2_WORDS
from prover.formats.row_order import from_entries, interleave
from prover.r1cs import SparseMatrix

ZKEY = FileFormat(b"zkey", 1, "a proving key (.zkey)", "make it again with `gelap setup`, or fetch it again")

_GROTH16 = 1
_MAX_POWER = 28
_HASH_BYTES = 64
_COEFFICIENT = np.dtype([("matrix", "<u4"), ("row", "<u4"), ("wire", "<u4"), ("value", "<u8", (4,))])
_ROWS_PER_PIECE = 1 << 15

# `snarkjs zkey new` and `snarkjs zkey contribute` order the sections differently; a file is written as the one of them
# that makes such a file would have.
_ORDER_WITHOUT_CONTRIBUTIONS = (1, 2, 4, 3, 9, 8, 5, 6, 7, 10)
_ORDER_WITH_CONTRIBUTIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


@dataclass(frozen=True, eq=False)
class Contribution:
    """One step of phase 2. Points are Montgomery limbs: G1 uint64[8], G2 uint64[16]; transcript: 64 bytes."""

    delta_after: np.ndarray
    g1_s: np.ndarray
    g1_sx: np.ndarray
    g2_spx: np.ndarray
    transcript: bytes
    contributor: Contributor = field(default_factory=Contributor)


@dataclass(frozen=True)
class MpcParameters:
    """The ceremony: BLAKE2b-512 of the circuit's initial key (64 bytes), and the contributions in order."""

    cs_hash: bytes
    contributions: list[Contribution]


@dataclass(frozen=True, eq=False)
class ZKey:
    """A proving key. All points are affine Montgomery limbs, infinity all zero.

    G1 points are uint64[..., 8] = x | y; G2 points uint64[..., 16] = x.c0 | x.c1 | y.c0 | y.c1.
    a, b: the constraint matrices, one row for each element of the domain; `a` includes the rows that snarkjs adds to
    bind the public wires. Their values are as in the file: coefficient * R^2 mod r, so that one Montgomery
    multiplication with a plain witness value gives a product in Montgomery form.

    The point arrays of a mapped key are read-only views that may not be aligned to 8 bytes;
    `np.require(x, requirements="CAW")` makes one that compiled code likes.
    """

    n_vars: int
    n_public: int
    domain_size: int
    alpha_g1: np.ndarray
    beta_g1: np.ndarray
    beta_g2: np.ndarray
    gamma_g2: np.ndarray
    delta_g1: np.ndarray
    delta_g2: np.ndarray
    ic: np.ndarray
    """uint64 (n_public + 1, 8)"""
    a: SparseMatrix
    b: SparseMatrix
    points_a: np.ndarray
    """uint64 (n_vars, 8)"""
    points_b1: np.ndarray
    """uint64 (n_vars, 8)"""
    points_b2: np.ndarray
    """uint64 (n_vars, 16)"""
    points_c: np.ndarray
    """uint64 (n_vars - n_public - 1, 8): private wires only"""
    points_h: np.ndarray
    """uint64 (domain_size, 8): bases for the quotient's values on the odd coset"""
    mpc: MpcParameters

    @property
    def power(self) -> int:
        """log2 of the domain size."""
        return self.domain_size.bit_length() - 1


def read_zkey(path: AnyPath, mmap: bool = True) -> ZKey:
    """Read a Groth16 proving key over BN254.

    With `mmap` the point arrays are views of the file, loaded by the system as they are touched; otherwise they are
    aligned copies in memory. Every count, size, wire number and coordinate is checked; whether points lie on the curve
    is not. Raises FormatError.
    """
    with open_sections(path, ZKEY) as file:
        protocol = file.cursor(1)
        if protocol.u32() != _GROTH16:
            raise file.error("this key is for PLONK or FFLONK, not for Groth16")
        protocol.finish()
        header = file.cursor(2)
        n_vars, n_public, domain_size = _read_counts(header)
        alpha_g1, beta_g1 = _header_point(header, G1_WORDS), _header_point(header, G1_WORDS)
        beta_g2, gamma_g2 = _header_point(header, G2_WORDS), _header_point(header, G2_WORDS)
        delta_g1, delta_g2 = _header_point(header, G1_WORDS), _header_point(header, G2_WORDS)
        header.finish()

        def points(number: int, count: int, words: int) -> np.ndarray:
            view = file.elements(number, count, words, Q)
            return view if mmap else view.copy()

        # The points come first: their sections have the sizes that the counts ask for, so none is absurd after them.
        ic = points(3, n_public + 1, G1_WORDS)
        points_a = points(5, n_vars, G1_WORDS)
        points_b1 = points(6, n_vars, G1_WORDS)
        points_b2 = points(7, n_vars, G2_WORDS)
        points_c = points(8, n_vars - n_public - 1, G1_WORDS)
        points_h = points(9, domain_size, G1_WORDS)
        a, b = _read_coefficients(file, n_vars, domain_size)
        return ZKey(
            n_vars=n_vars,
            n_public=n_public,
            domain_size=domain_size,
            alpha_g1=alpha_g1,
            beta_g1=beta_g1,
            beta_g2=beta_g2,
            gamma_g2=gamma_g2,
            delta_g1=delta_g1,
            delta_g2=delta_g2,
            ic=ic,
            a=a,
            b=b,
            points_a=points_a,
            points_b1=points_b1,
            points_b2=points_b2,
            points_c=points_c,
            points_h=points_h,
            mpc=_read_mpc(file.cursor(10)),
        )


def _read_counts(header: Cursor) -> tuple[int, int, int]:
    header.prime(Q)
    header.prime(R)
    n_vars, n_public, domain_size = header.u32(), header.u32(), header.u32()
    problem = _bad_counts(n_vars, n_public, domain_size)
    if problem:
        raise header.error(problem)
    return n_vars, n_public, domain_size


def _bad_counts(n_vars: int, n_public: int, domain_size: int) -> str | None:
    if domain_size & (domain_size - 1) or not 1 <= domain_size <= 1 << _MAX_POWER:
        return f"a domain of {domain_size} is not a power of two up to 2^{_MAX_POWER}"
    if n_public + 1 > n_vars:
        return f"{n_public} public inputs do not fit into {n_vars} wires"
    if n_public + 1 > domain_size:
        return f"{n_public} public inputs do not fit into a domain of {domain_size}"
    return None


def _header_point(header: Cursor, words: int) -> np.ndarray:
    point = header.limbs(words, Q)
    if not point.any():
        raise header.error("a point of the verification key is at infinity")
    return point


def _read_coefficients(file: SectionFile, n_vars: int, domain_size: int) -> tuple[SparseMatrix, SparseMatrix]:
    count = file.cursor(4).u32()
    content = file.section(4)[4:]
    if len(content) != count * _COEFFICIENT.itemsize:
        raise file.error(f"section 4 has {len(content)} bytes for {count} coefficients")
    words = content.view("<u4").reshape(count, _COEFFICIENT.itemsize // 4)
    matrix = words[:, 0]
    if np.any(matrix > 1):
        raise file.error("section 4 holds a coefficient of a matrix other than A and B")
    a, b = (_read_matrix(file, words, np.flatnonzero(matrix == i), n_vars, domain_size) for i in range(2))
    return a, b


def _read_matrix(
    file: SectionFile, records: np.ndarray, chosen: np.ndarray, n_vars: int, domain_size: int
) -> SparseMatrix:
    """The matrix whose entries are the `chosen` ones of `records`, uint32 (n, 11): see `_COEFFICIENT`."""
    row, wire = (np.empty(len(chosen), dtype="<u4") for _ in range(2))
    value = np.empty((len(chosen), 4), dtype="<u8")
    # Piece by piece, so that little memory is touched besides.
    for start in range(0, len(chosen), _ROWS_PER_PIECE):
        piece = slice(start, start + _ROWS_PER_PIECE)
        entries = records.take(chosen[piece], axis=0)
        row[piece], wire[piece], value.view("<u4")[piece] = entries[:, 1], entries[:, 2], entries[:, 3:]
    if np.any(row >= domain_size):
        raise file.error("section 4 holds a coefficient of a row outside the domain")
    if np.any(wire >= n_vars):
        raise file.error("section 4 holds a coefficient of a wire that does not exist")
    if first_not_below(value, R) is not None:
        raise file.error("section 4 holds a coefficient outside the field")
    return from_entries(row, wire, value, domain_size)


def _read_mpc(cursor: Cursor) -> MpcParameters:
    cs_hash = cursor.take(_HASH_BYTES)
    contributions = []
    for _ in range(cursor.u32()):
        contributions.append(
            Contribution(
                delta_after=cursor.limbs(G1_WORDS, Q),
                g1_s=cursor.limbs(G1_WORDS, Q),
                g1_sx=cursor.limbs(G1_WORDS, Q),
                g2_spx=cursor.limbs(G2_WORDS, Q),
                transcript=cursor.take(_HASH_BYTES),
                contributor=decode_contributor(cursor),
            )
        )
    cursor.finish()
    return MpcParameters(cs_hash, contributions)


def write_zkey(path: AnyPath, zkey: ZKey) -> None:
    """Write a proving key, atomically, byte for byte as snarkjs would.

    Raises FormatError when an array does not have the shape that the counts ask for, or the file cannot be written.
    """
    problem = _bad_counts(zkey.n_vars, zkey.n_public, zkey.domain_size)
    if problem:
        raise FormatError(f"this proving key cannot be written: {problem}")
    sections = {
        1: bytes_section(1, _GROTH16.to_bytes(4, "little")),
        2: bytes_section(2, _header_bytes(zkey)),
        3: _points_section(3, "ic", zkey.ic, zkey.n_public + 1, G1_WORDS),
        4: _coefficients_section(zkey),
        5: _points_section(5, "points_a", zkey.points_a, zkey.n_vars, G1_WORDS),
        6: _points_section(6, "points_b1", zkey.points_b1, zkey.n_vars, G1_WORDS),
        7: _points_section(7, "points_b2", zkey.points_b2, zkey.n_vars, G2_WORDS),
        8: _points_section(8, "points_c", zkey.points_c, zkey.n_vars - zkey.n_public - 1, G1_WORDS),
        9: _points_section(9, "points_h", zkey.points_h, zkey.domain_size, G1_WORDS),
        10: bytes_section(10, _mpc_bytes(zkey.mpc)),
    }
    order = _ORDER_WITH_CONTRIBUTIONS if zkey.mpc.contributions else _ORDER_WITHOUT_CONTRIBUTIONS
    write_sections(path, ZKEY, [sections[number] for number in order])


def _points_section(number: int, name: str, points: np.ndarray, count: int, words: int) -> Section:
    require_shape(name, points, (count, words))
    return array_section(number, points)


def _header_bytes(zkey: ZKey) -> bytes:
    parts = [prime_bytes(Q), prime_bytes(R)]
    parts += [count.to_bytes(4, "little") for count in (zkey.n_vars, zkey.n_public, zkey.domain_size)]
    for name, words in (
        ("alpha_g1", G1_WORDS),
        ("beta_g1", G1_WORDS),
        ("beta_g2", G2_WORDS),
        ("gamma_g2", G2_WORDS),
        ("delta_g1", G1_WORDS),
        ("delta_g2", G2_WORDS),
    ):
        parts.append(_point_bytes(name, getattr(zkey, name), words))
    return b"".join(parts)


def _point_bytes(name: str, point: np.ndarray, words: int) -> bytes:
    require_shape(name, point, (words,))
    return point.tobytes()


def _coefficients_section(zkey: ZKey) -> Section:
    for name, matrix in (("a", zkey.a), ("b", zkey.b)):
        require_shape(f"{name}.row_ptr", matrix.row_ptr, (zkey.domain_size + 1,), np.int64)
    count = zkey.a.nnz + zkey.b.nnz
    return Section(4, 4 + count * _COEFFICIENT.itemsize, _coefficient_pieces(zkey, count))


def _coefficient_pieces(zkey: ZKey, count: int) -> Iterator[bytes]:
    yield count.to_bytes(4, "little")
    matrices = (zkey.a, zkey.b)
    for start in range(0, zkey.domain_size, _ROWS_PER_PIECE):
        stop = min(start + _ROWS_PER_PIECE, zkey.domain_size)
        counts, places = interleave(matrices, start, stop)
        entries = np.empty(int(counts.sum()), dtype=_COEFFICIENT)
        for number, (matrix, place) in enumerate(zip(matrices, places, strict=True)):
            chosen = slice(matrix.row_ptr[start], matrix.row_ptr[stop])
            entries["matrix"][place] = number
            entries["row"][place] = np.repeat(np.arange(start, stop), counts[:, number])
            entries["wire"][place] = matrix.col[chosen]
            entries["value"][place] = matrix.value[chosen]
        yield entries.tobytes()


def _mpc_bytes(mpc: MpcParameters) -> bytes:
    parts = [_hash_bytes("cs_hash", mpc.cs_hash), len(mpc.contributions).to_bytes(4, "little")]
    for contribution in mpc.contributions:
        parts += [
            _point_bytes("delta_after", contribution.delta_after, G1_WORDS),
            _point_bytes("g1_s", contribution.g1_s, G1_WORDS),
            _point_bytes("g1_sx", contribution.g1_sx, G1_WORDS),
            _point_bytes("g2_spx", contribution.g2_spx, G2_WORDS),
            _hash_bytes("transcript", contribution.transcript),
            contribution.contributor.encode(),
        ]
    return b"".join(parts)


def _hash_bytes(name: str, digest: bytes) -> bytes:
    if len(digest) != _HASH_BYTES:
        raise FormatError(f"{name} must be {_HASH_BYTES} bytes, not {len(digest)}")
    return digest
