"""Who is calling: from an API key to the tenant that jobs and cached proofs belong to, and what that tenant may do.

A key is `gelap_<tenant, 32 hexadecimal digits>_<256 random bits, base64url>`. Redis has its SHA-256 only: of that many
random bits nobody finds a preimage, so a slow hash, which is for what people can remember, would only slow calls down.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import redis

from protocol.sealing import is_registered_key, tenant_of
from worker.errors import (
    NotAllowedError,
    RateLimitedError,
    UnauthenticatedError,
)

MAX_KEY_CHARACTERS = 256
_SCHEME = "bearer "
_UNKNOWN = "nobody knows this API key: it may be mistyped or revoked"
_SCRIPTS = Path(__file__).parent / "scripts"


class Scope(Enum):
    """What an API key can be for. To read circuits, and jobs of its own, every key is good."""

    PROVE = "prove"
    VERIFY = "verify"
    KEYS = "keys"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True)
class TenantLimits:
    """Calls a second on average and at once, and jobs a day (UTC); 0 is no limit. `burst` is at least 1."""

    rate: float = 100.0
    burst: int = 200
    quota: int = 0


@dataclass(frozen=True)
class Caller:
    """`tenant` is its id, `name` what the operator calls it; `quota` its jobs a day, 0 for any number."""

    tenant: str
    name: str
    scopes: frozenset[Scope] = ALL_SCOPES
    quota: int = 0

    def require(self, scope: Scope) -> None:
        """Raises NotAllowedError."""
        if scope not in self.scopes:
            raise NotAllowedError(
                f"this API key is not for `{scope.value}`, only for {', '.join(sorted(s.value for s in self.scopes))}: "
                "ask the cluster's operator to allow it"
            )


class Doorkeeper(Protocol):
    """Lets callers in; may block for one round trip to Redis, and raises `redis.RedisError`."""

    def admit(self, key: str) -> Caller:
        """Return who calls with this key. Raises UnauthenticatedError and RateLimitedError."""


class Register:
    """Lets in the keys that `gelap apikey add` made, within their tenants' limits."""

    def __init__(self, client: redis.Redis, defaults: TenantLimits | None = None) -> None:
        self._defaults = defaults or TenantLimits()
        self._admit = load_script(client, "admit")

    def admit(self, key: str) -> Caller:
        if not is_registered_key(key):
            # Redis need not be asked about what `gelap apikey add` never makes.
            raise UnauthenticatedError(_UNKNOWN)
        defaults = self._defaults
        answer = self._admit(args=[digest_of(key), defaults.rate, defaults.burst, defaults.quota])
        if answer[0] == b"unknown":
            raise UnauthenticatedError(_UNKNOWN)
        if answer[0] == b"limited":
            seconds = int(answer[1]) / 1000
            raise RateLimitedError(f"too many calls with this API key: try again in {seconds:.3f} s", seconds)
        _, tenant, name, scopes, quota = answer
        return Caller(tenant.decode(), name.decode(), scopes_of(scopes.decode()), int(quota))


class OpenDoor:
    """Lets in every key, each as a tenant of its own, without limits: for `gelap demo` and for trying things out.

    Registered keys stay what they are, so nobody becomes another's tenant by making up a key.
    """

    def __init__(self, register: Register) -> None:
        self._register = register

    def admit(self, key: str) -> Caller:
        if is_registered_key(key):
            return self._register.admit(key)
        return Caller(tenant_of(key), "open")


def api_key_of(headers: Sequence[str | bytes]) -> str:
    """Return the key of a call's `authorization` headers. Raises UnauthenticatedError unless it is one `Bearer` key."""
    if len(headers) != 1 or not isinstance(headers[0], str) or not headers[0].lower().startswith(_SCHEME):
        raise UnauthenticatedError
    key = headers[0][len(_SCHEME) :]
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isprintable() or not key.isascii() or " " in key:
        raise UnauthenticatedError("the API key is not one: printable ASCII without spaces, 256 characters at most")
    return key


def digest_of(key: str) -> str:
    """Return what Redis has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def scopes_of(text: str) -> frozenset[Scope]:
    """Read scopes as Redis has them; one that a newer release wrote is left out."""
    known = {scope.value for scope in Scope}
    return frozenset(Scope(word) for word in text.split(",") if word in known)


def load_script(client: redis.Redis, name: str) -> Any:
    """Return one of `scripts/` as a callable, with the part that they share before it."""
    return client.register_script((_SCRIPTS / "common.lua").read_text() + (_SCRIPTS / f"{name}.lua").read_text())
