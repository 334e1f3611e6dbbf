"""`gelap apikey`: who may use the cluster."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from gelap.options import RedisUrl
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.apikeys import KeyRecord, KeyRegister

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Who may use the cluster: API keys.")


@contextmanager
def _register(redis_url: str | None) -> Iterator["KeyRegister"]:
    """Open the register; what goes wrong ends the command with one line and status 2."""
    try:
        if redis_url is None:
            raise ConfigurationError("the API keys are in the cluster's Redis: set GELAP_REDIS_URL or --redis-url")
        import redis

        from gateway.apikeys import KeyRegister
        from worker.connection import connect_or_explain

        try:
            yield KeyRegister(connect_or_explain(redis_url))
        except redis.RedisError as error:
            raise ConfigurationError(f"Redis failed: {error}") from None
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The tenant; one that exists gets another key.")],
    label: Annotated[str, typer.Option(help="What this key is for, to tell a tenant's keys apart.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="prove, verify or keys; give it again for more. Default: all.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="The tenant's calls a second; 0 for any number.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Its calls at once; default: twice the rate.")] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Its jobs a day (UTC); 0 for any number.")] = None,
    redis_url: RedisUrl = None,
) -> None:
    """Make an API key and print it on stdout, this once: the cluster keeps only its SHA-256.

    Scopes and limits are the tenant's, whichever of its keys a call has; those not given stay as they are.
    """
    with _register(redis_url) as register:
        new = register.add(name, label=label, scopes=_scopes(scope), rate=rate, burst=burst, quota=quota)
        typer.echo(f"key {new.id} of {new.name} (tenant {new.tenant}); it is not shown again:", err=True)
        typer.echo(new.key)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `gelap apikey list` shows it.")],
    redis_url: RedisUrl = None,
) -> None:
    """End an API key, at once and on every gateway. Its tenant's jobs go on, and its other keys."""
    with _register(redis_url) as register:
        name = register.revoke(key_id)
        typer.echo(f"revoked key {key_id} of {name}", err=True)


@app.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, redis_url: RedisUrl = None
) -> None:
    """List the API keys: ids, tenants, scopes, limits, jobs today. The keys themselves are kept nowhere."""
    with _register(redis_url) as register:
        records = register.list()
    if as_json:
        typer.echo(json.dumps([_document(record) for record in records], indent=2))
        return
    table = Table("id", "tenant", "label", "since", "scopes", "calls/s", "jobs/day", "jobs today")
    for record in records:
        document = _document(record)
        rate = "default" if record.rate is None else f"{record.rate:g} (at once {record.burst})"
        quota = "default" if record.quota is None else str(record.quota or "any")
        scopes = ", ".join(document["scopes"])
        since = document["created"][:10]
        table.add_row(
            record.id, record.name, record.label, since, scopes, "any" if record.rate == 0 else rate, quota,
            str(record.jobs_today),
        )  # fmt: skip
    Console().print(table)


def _scopes(words: list[str] | None) -> "frozenset | None":
    from gateway.tenants import Scope

    if words is None:
        return None
    known = {scope.value: scope for scope in Scope}
    for word in words:
        if word not in known:
            raise ConfigurationError(f"{word[:64]!r} is no scope: {', '.join(known)}")
    return frozenset(known[word] for word in words)


def _document(record: "KeyRecord") -> dict:
    return {
        "id": record.id,
        "tenant": record.tenant,
        "name": record.name,
        "label": record.label,
        "created": datetime.fromtimestamp(record.created_ms / 1000, UTC).isoformat(timespec="seconds"),
        "scopes": sorted(scope.value for scope in record.scopes),
        "rate": record.rate,
        "burst": record.burst,
        "quota": record.quota,
        "jobs_today": record.jobs_today,
    }
