"""Everything that can go wrong in the protocol layer.

ProtocolError
├── EncodingError      bytes or numbers that are not in the canonical form
├── KeyDerivationError a mnemonic, seed or key that cannot be used
├── AddressError       text that is not a Gelap address
├── MemoError          a memo that cannot be built
├── SealingError       inputs that cannot be sealed to a cluster key, or opened with it
└── TreeError          an operation the Merkle tree does not allow
"""


class ProtocolError(Exception):
    """Base of all errors of this package; the message says what to do next."""


class EncodingError(ProtocolError, ValueError):
    pass


class KeyDerivationError(ProtocolError, ValueError):
    pass


class AddressError(ProtocolError, ValueError):
    pass


class MemoError(ProtocolError, ValueError):
    pass


class SealingError(ProtocolError):
    pass


class TreeError(ProtocolError, ValueError):
    pass
