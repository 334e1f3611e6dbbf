"""The two prime fields of BN254 and the one encoding of their elements.

`R` is the order of the groups G1 and G2: circuits, witnesses and public inputs live in F_r.
`Q` is the field the curve is defined over: point coordinates live in F_q.
Every field element travels as 32 bytes, big-endian and canonical (smaller than its modulus).
"""

from protocol.errors import EncodingError

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583


def to_bytes32(value: int, modulus: int = R) -> bytes:
    """Encode a canonical field element as 32 bytes, big-endian.

    Raises EncodingError when `value` is negative or not below `modulus`.
    """
    if not 0 <= value < modulus:
        raise EncodingError("a field element must be at least 0 and below the field's modulus")
    return value.to_bytes(32, "big")


def from_bytes32(data: bytes, modulus: int = R) -> int:
    """Decode 32 big-endian bytes; refuses the wrong length and non-canonical values with EncodingError."""
    if len(data) != 32:
        raise EncodingError(f"a field element is 32 bytes, got {len(data)}")
    value = int.from_bytes(data, "big")
    if value >= modulus:
        raise EncodingError("a field element must be below the field's modulus")
    return value
