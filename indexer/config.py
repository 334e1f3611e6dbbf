"""What an indexer process is told: the chains it follows, its database, and where it serves.

The chains come from a TOML file, or, one of them, from options and environment variables:

    database_url = "postgresql://indexer@db/gelap"

    [chains.base]                      # a preset's name brings the chain id and the defaults below
    pool = "0x..."
    first_block = 19000000             # a block at or before the pool's deployment
    rpc_urls = ["https://one.example", "https://two.example"]

    [chains.testing]                   # any other name needs a chain id
    chain_id = 1234
    pool = "0x..."
    first_block = 0

Endpoints' URLs hold keys, so they may stand in the environment instead: `GELAP_RPC_URL_BASE`, separated by blanks, goes
before the file's.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from indexer.chains import PRESETS, preset_of
from indexer.errors import SettingsError

MAX_CHAINS = 32
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class ChainConfig:
    """One pool on one chain. `pool` is 20 bytes; windows and confirmations count blocks, `poll` is in seconds.

    `chain_id` is None only where the endpoints are asked for it at the start; `name` is then None too, and becomes that
    of the chain's preset. `range_blocks` is the width of a partition in PostgreSQL.
    """

    name: str | None
    chain_id: int | None
    pool: bytes
    first_block: int = 0
    rpc_urls: tuple[str, ...] = field(default=(), repr=False)
    confirmations: int = 3
    max_window: int = 10_000
    first_window: int = 1_000
    poll: float = 3.0
    rpc_timeout: float = 30.0
    range_blocks: int = 1_000_000

    def on(self, chain_id: int) -> "ChainConfig":
        """The same, now that the chain's id is known."""
        preset = preset_of(chain_id)
        return replace(self, chain_id=chain_id, name=self.name or preset.name, range_blocks=preset.range_blocks)


@dataclass(frozen=True)
class IndexerConfig:
    """`chains` are followed if `follow`, and served if `serve`.

    A process that only serves needs none: then it serves all that the database holds, or `chain_id` only.
    `database_read_url` is a replica's, or None for the same database; `redis_url` a cache's, or None for none.
    Addresses are host:port. `trusted_proxies` are believed about whom they ask for, as `gelap.listener` says.
    """

    database_url: str = field(repr=False)
    chains: tuple[ChainConfig, ...] = ()
    chain_id: int | None = None
    database_read_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    address: str = "127.0.0.1:8090"
    metrics_address: str | None = None
    rate: float = 50.0
    burst: int = 200
    trusted_proxies: str = ""
    follow: bool = True
    serve: bool = True


def parse_address(value: Any, name: str = "pool") -> bytes:
    """0x and 40 hexadecimal digits as 20 bytes. Raises SettingsError."""
    try:
        address = bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        address = b""
    if len(address) != 20:
        raise SettingsError(f"{name} is an address: 0x and 40 hexadecimal digits")
    return address


def _address(value: Any) -> bytes:
    try:
        return parse_address(value)
    except SettingsError as error:
        raise ValueError(str(error)) from None


class _ChainTable(BaseModel):
    """`[chains.<name>]`; what is absent comes from the preset."""

    model_config = ConfigDict(extra="forbid", strict=True)

    chain_id: int | None = Field(default=None, ge=1, lt=1 << 63)
    pool: Annotated[bytes, BeforeValidator(_address)]
    first_block: int = Field(ge=0)
    rpc_urls: list[str] = []
    confirmations: int | None = Field(default=None, ge=0)
    first_window: int | None = Field(default=None, ge=1)
    max_window: int | None = Field(default=None, ge=1)
    range_blocks: int | None = Field(default=None, ge=1_000)
    poll_seconds: float = Field(default=3.0, ge=0.05)
    rpc_timeout_seconds: float = Field(default=30.0, gt=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    database_url: str | None = None
    database_read_url: str | None = None
    redis_url: str | None = None
    address: str | None = None
    metrics_address: str | None = None
    rate: float | None = Field(default=None, ge=0)
    burst: int | None = Field(default=None, ge=1)
    trusted_proxies: str | None = None
    chains: dict[str, _ChainTable] = Field(min_length=1, max_length=MAX_CHAINS)


@dataclass(frozen=True)
class FileConfig:
    """A configuration file: its chains, and the options of the process that it sets, by IndexerConfig's names."""

    chains: tuple[ChainConfig, ...]
    options: dict[str, Any]


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> FileConfig:
    """Raises SettingsError for a file that cannot be read or used; endpoints are never in its message."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}): correct --config") from None
    except ValueError as error:
        # TOML's own message names line and column, and no value.
        raise SettingsError(f"{path} is no TOML file: {error}") from None
    try:
        parsed = _File.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {place}: {first['msg']}") from None
    chains = tuple(_chain(path, name, table, environment) for name, table in parsed.chains.items())
    seen: dict[int | None, str | None] = {}
    for chain in chains:
        if chain.chain_id in seen:
            raise SettingsError(
                f"{path}: {seen[chain.chain_id]} and {chain.name} have one chain id, {chain.chain_id}: a database "
                "holds one pool of a chain, so give the second an indexer with a database of its own"
            )
        seen[chain.chain_id] = chain.name
    return FileConfig(chains, parsed.model_dump(exclude={"chains"}, exclude_none=True))


def _chain(path: Path, name: str, table: _ChainTable, environment: Mapping[str, str]) -> ChainConfig:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{path}: a chain's name has letters, digits and hyphens only: {name[:40]!r}")
    named = PRESETS.get(name)
    chain_id = table.chain_id if named is None else named.chain_id
    if chain_id is None:
        raise SettingsError(f"{path}: chains.{name} needs a chain_id; without are only {', '.join(PRESETS)}")
    if named is not None and table.chain_id not in (None, chain_id):
        raise SettingsError(f"{path}: {name} is chain {chain_id}, not {table.chain_id}: take another name for it")
    variable = "GELAP_RPC_URL_" + name.upper().replace("-", "_")
    urls = environment.get(variable, "").split() or table.rpc_urls
    if not urls:
        raise SettingsError(f"{path}: chains.{name} needs rpc_urls, or the variable {variable}")
    preset = named or preset_of(chain_id)
    return ChainConfig(
        name=name,
        chain_id=chain_id,
        pool=table.pool,
        first_block=table.first_block,
        rpc_urls=tuple(urls),
        confirmations=preset.confirmations if table.confirmations is None else table.confirmations,
        max_window=table.max_window or preset.max_window,
        first_window=table.first_window or preset.first_window,
        poll=table.poll_seconds,
        rpc_timeout=table.rpc_timeout_seconds,
        range_blocks=table.range_blocks or preset.range_blocks,
    )
