"""The register of tenants and their API keys, as an operator keeps it."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from gateway.tenants import Scope, digest_of, load_script, scopes_of
from worker.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID_CHARACTERS = 12


@dataclass(frozen=True)
class NewKey:
    """`key` is the secret itself: it is shown once and kept nowhere."""

    id: str
    tenant: str
    name: str
    key: str


@dataclass(frozen=True)
class KeyRecord:
    """One key, with its tenant's limits (None: the gateways' defaults) and how many jobs the tenant had today."""

    id: str
    tenant: str
    name: str
    label: str
    created_ms: int
    scopes: frozenset[Scope]
    rate: float | None
    burst: int | None
    quota: int | None
    jobs_today: int


class KeyRegister:
    """Raises ConfigurationError for what cannot be done, and `redis.RedisError` when Redis fails."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._today = load_script(client, "today")

    def add(
        self,
        name: str,
        *,
        label: str = "",
        scopes: frozenset[Scope] | None = None,
        rate: float | None = None,
        burst: int | None = None,
        quota: int | None = None,
    ) -> NewKey:
        """Make a key for the tenant of this name, and the tenant if it is new; what is given changes the tenant."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name[:64]!r} is no tenant's name: lower-case letters, digits and .-_ only, 64 at most"
            )
        if scopes is not None and not scopes:
            raise ConfigurationError(f"a tenant needs a scope: {', '.join(scope.value for scope in Scope)}")
        if (rate is None) != (burst is None) and burst is not None:
            raise ConfigurationError("calls at once (--burst) are the limit of a rate: give --rate too")
        if burst is not None and burst < 1:
            raise ConfigurationError("a tenant that may make no call at once may make none: --burst is 1 or more")
        self._client.hsetnx("gelap:tenants", name, secrets.token_hex(16))
        tenant = cast(bytes, self._client.hget("gelap:tenants", name)).decode()
        key = f"gelap_{tenant}_{secrets.token_urlsafe(32)}"
        digest = digest_of(key)
        changes = _present(
            scopes=",".join(sorted(scope.value for scope in scopes)) if scopes else None,
            rate=rate,
            burst=None if rate is None else burst or max(1, round(2 * rate)),
            quota=quota,
        )
        record = {"digest": digest, "tenant": tenant, "label": label, "created_ms": self._now_ms()}
        with self._client.pipeline() as pipeline:
            pipeline.hsetnx(f"gelap:tenant:{tenant}", "scopes", ",".join(sorted(scope.value for scope in Scope)))
            pipeline.hset(f"gelap:tenant:{tenant}", mapping={"name": name} | changes)
            pipeline.hset(f"gelap:apikey:{digest}", mapping={"tenant": tenant})
            pipeline.hset("gelap:apikeys", digest[:_ID_CHARACTERS], json.dumps(record))
            pipeline.execute()
        return NewKey(digest[:_ID_CHARACTERS], tenant, name, key)

    def revoke(self, key_id: str) -> str:
        """End a key at once, on every gateway; returns its tenant's name."""
        found = cast(bytes | None, self._client.hget("gelap:apikeys", key_id))
        if found is None:
            raise ConfigurationError(f"there is no API key {key_id[:64]!r}: `gelap apikey list` shows their ids")
        record = json.loads(found)
        with self._client.pipeline() as pipeline:
            pipeline.delete(f"gelap:apikey:{record['digest']}")
            pipeline.hdel("gelap:apikeys", key_id)
            pipeline.execute()
        name = cast(bytes | None, self._client.hget(f"gelap:tenant:{record['tenant']}", "name"))
        return (name or b"").decode()

    def list(self) -> list[KeyRecord]:
        """Return every key, oldest first."""
        found = cast(Mapping[bytes, bytes], self._client.hgetall("gelap:apikeys"))
        records = [self._record(key_id.decode(), json.loads(text)) for key_id, text in found.items()]
        return sorted(records, key=lambda record: (record.created_ms, record.id))

    def _record(self, key_id: str, record: Mapping[str, Any]) -> KeyRecord:
        tenant = record["tenant"]
        fields = cast(Mapping[bytes, bytes], self._client.hgetall(f"gelap:tenant:{tenant}"))

        def number(name: str) -> float | None:
            return float(fields[name.encode()]) if name.encode() in fields else None

        burst, quota = number("burst"), number("quota")
        return KeyRecord(
            id=key_id,
            tenant=tenant,
            name=fields.get(b"name", b"").decode(),
            label=record["label"],
            created_ms=record["created_ms"],
            scopes=scopes_of(fields.get(b"scopes", b"").decode()),
            rate=number("rate"),
            burst=None if burst is None else int(burst),
            quota=None if quota is None else int(quota),
            jobs_today=int(self._today(args=[tenant])),
        )

    def _now_ms(self) -> int:
        seconds, micros = cast(tuple[int, int], self._client.time())
        return seconds * 1000 + micros // 1000


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
