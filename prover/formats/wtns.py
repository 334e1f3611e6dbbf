"""`.wtns`: a witness, the value of every wire. Its content is secret: files are written for their owner's eyes only.

    1 header: r, number of values        2 the values, 32 bytes each, little-endian, plain

Source: snarkjs, wtns_utils.js; circom's witness calculators write the same.
"""

import numpy as np

from protocol.field import R
from prover.errors import FormatError
from prover.formats.binfile import (
    FileFormat,
    array_section,
    bytes_section,
    open_sections,
    prime_bytes,
    require_shape,
    write_sections,
)
from prover.formats.field_arrays import first_not_below
from prover.formats.files import AnyPath
from prover.limbs import LIMBS

WTNS = FileFormat(b"wtns", 2, "a witness (.wtns)", "compute the witness again")


def read_wtns(path: AnyPath) -> np.ndarray:
    """The witness as uint64 (wires, 4), plain limbs below r, wire 0 being 1. Raises FormatError."""
    with open_sections(path, WTNS) as file:
        header = file.cursor(1)
        header.prime(R)
        count = header.u32()
        header.finish()
        witness = file.elements(2, count, LIMBS, R).copy()
        if not _starts_with_one(witness):
            raise file.error("wire 0 is not the constant one")
        return witness


def write_wtns(path: AnyPath, witness: np.ndarray) -> None:
    """Write a witness, uint64 (wires, 4) plain limbs, atomically and readable by its owner only. Raises FormatError."""
    require_shape("witness", witness, (len(witness), LIMBS))
    if not _starts_with_one(witness) or first_not_below(witness, R) is not None:
        raise FormatError("a witness must begin with the constant one and hold canonical field elements only")
    header = prime_bytes(R) + len(witness).to_bytes(4, "little")
    write_sections(path, WTNS, [bytes_section(1, header), array_section(2, witness)], private=True)


def _starts_with_one(witness: np.ndarray) -> bool:
    return len(witness) > 0 and witness[0].tolist() == [1, 0, 0, 0]
