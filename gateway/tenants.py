"""Who is calling: from an API key to the tenant that jobs and cached proofs belong to.

Any key makes a tenant of its own for now; a register of keys with their limits belongs in `authenticate`.
"""

from collections.abc import Iterable

from protocol.sealing import tenant_of
from worker.errors import UnauthenticatedError

MAX_KEY_CHARACTERS = 256
_SCHEME = "bearer "


def authenticate(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the tenant of a call's metadata. Raises UnauthenticatedError without a usable `Bearer` key."""
    headers = [value for name, value in metadata if name == "authorization"]
    if len(headers) != 1 or not isinstance(headers[0], str) or not headers[0].lower().startswith(_SCHEME):
        raise UnauthenticatedError
    key = headers[0][len(_SCHEME) :]
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isprintable() or " " in key:
        raise UnauthenticatedError("the API key is not one: printable characters without spaces, 256 at most")
    return tenant_of(key)
