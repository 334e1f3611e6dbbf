"""`gelap status`, `gelap jobs` and `gelap breaker`: what an operator sees of the cluster and does to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import redis
import typer
from rich.console import Console
from rich.table import Table

from gelap.options import RedisUrl
from worker.connection import connect_or_explain
from worker.errors import ConfigurationError
from worker.jobs import Job, JobStore
from worker.overview import Overview
from worker.registry import LiveWorker, Registry

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

jobs = typer.Typer(no_args_is_help=True, add_completion=False, help="List, show and cancel the cluster's jobs.")
breaker = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Circuits that were stopped because proofs did not verify."
)


def status(redis_url: RedisUrl = None, as_json: AsJson = False) -> None:
    """Show the cluster's workers, queues, oldest job, and circuits that are stopped.

    Exit 1 when no worker lives, a circuit is stopped, or a job has waited longer than the cluster takes new ones for.
    """
    with _store(redis_url) as (client, store):
        workers, overview = Registry(client).live_workers(), store.overview()
        problems = _problems(workers, overview, store.limits.oldest)
    if as_json:
        typer.echo(json.dumps(_status_document(workers, overview, problems), indent=2))
    else:
        _show_status(workers, overview, problems)
    raise typer.Exit(1 if problems else 0)


@jobs.command("list")
def list_jobs(
    redis_url: RedisUrl = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most jobs of each kind: running, queued, ended.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List running jobs, queued ones, and those that ended last."""
    with _store(redis_url) as (_, store):
        found = store.list(limit)
    if as_json:
        typer.echo(json.dumps([_job_document(job) for job in found], indent=2))
        return
    table = Table(box=None)
    for column in ("job", "state", "circuit", "kind", "priority", "submitted", "tries", "worker", "error"):
        table.add_column(column, no_wrap=column == "job")
    for job in found:
        table.add_row(
            job.id,
            job.state.value,
            job.circuit,
            job.kind.value,
            job.priority.name.lower(),
            _time(job.created_ms),
            str(job.attempts),
            job.worker or "",
            job.error.name if job.error else "",
        )
    Console(width=None if Console().is_terminal else 200).print(table)


@jobs.command()
def show(job_id: str, redis_url: RedisUrl = None) -> None:
    """Show everything about a job but its inputs, which only workers can read."""
    with _store(redis_url) as (_, store):
        typer.echo(json.dumps(_job_document(_found(store.read(job_id), job_id)), indent=2))


@jobs.command()
def cancel(job_id: str, redis_url: RedisUrl = None) -> None:
    """Cancel a job; a running proof ends at its next phase."""
    with _store(redis_url) as (_, store):
        job = _found(store.cancel(job_id, None), job_id)
    typer.echo(f"{job.id} {job.state.value}")
    raise typer.Exit(0 if job.state.value == "CANCELLED" else 1)


@breaker.command("list")
def list_breakers(redis_url: RedisUrl = None) -> None:
    """List circuits with proofs that did not verify."""
    with _store(redis_url) as (_, store):
        for load in store.overview().circuits:
            if load.wrong_jobs or load.stopped_seconds is not None:
                state = "counting" if load.stopped_seconds is None else f"stopped for {load.stopped_seconds:.0f} s"
                typer.echo(f"{load.circuit} {load.key.hex()[:16]} {load.wrong_jobs} jobs with wrong proofs, {state}")


@breaker.command()
def reset(circuit: str, redis_url: RedisUrl = None) -> None:
    """Let a circuit take jobs again; find out first why its proofs did not verify."""
    with _store(redis_url) as (_, store):
        keys = [load.key for load in store.overview().circuits if circuit in (load.circuit, load.key.hex()[:16])]
        if not keys:
            raise ConfigurationError(f"the cluster has had no job of a circuit {circuit}: see `gelap status`")
        stopped = [store.reset_breaker(key) for key in keys]
    typer.echo(f"{circuit} takes jobs again" if any(stopped) else f"{circuit} was not stopped")


@contextmanager
def _store(redis_url: str | None) -> Iterator[tuple[redis.Redis, JobStore]]:
    try:
        if redis_url is None:
            raise ConfigurationError("this needs the cluster's Redis: set GELAP_REDIS_URL or --redis-url")
        client = connect_or_explain(redis_url)
        yield client, JobStore(client)
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except redis.RedisError as error:
        typer.echo(f"error: Redis failed: {error}", err=True)
        raise typer.Exit(2) from None


def _found(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise ConfigurationError(f"there is no job {job_id[:64]!r}: it may have ended too long ago")
    return job


def _problems(workers: list[LiveWorker], overview: Overview, oldest: float) -> list[str]:
    problems = [] if workers else ["no worker lives: start `gelap worker`"]
    for load in overview.circuits:
        if load.stopped_seconds is not None:
            problems.append(
                f"{load.circuit} is stopped: proofs of {load.wrong_jobs} jobs did not verify. Read the workers' logs, "
                f"then `gelap breaker reset {load.circuit}`"
            )
        if load.queued and not any(load.key in worker.keys for worker in workers):
            problems.append(f"{load.queued} jobs of {load.circuit} wait, and no worker has its proving key")
        elif load.oldest_seconds > oldest:
            problems.append(f"a job of {load.circuit} has waited {load.oldest_seconds:.0f} s: it takes no more jobs")
    return problems


def _status_document(workers: list[LiveWorker], overview: Overview, problems: list[str]) -> dict[str, Any]:
    return {
        "workers": [asdict(worker) | {"keys": [key.hex() for key in worker.keys]} for worker in workers],
        "running": overview.running,
        "queued": overview.queued,
        "oldest_seconds": overview.oldest_seconds,
        "circuits": [
            asdict(load) | {"key": load.key.hex(), "queued_device_seconds": load.queued_device_seconds}
            for load in overview.circuits
        ],
        "counters": dict(overview.counters),
        "problems": problems,
    }


def _show_status(workers: list[LiveWorker], overview: Overview, problems: list[str]) -> None:
    console = Console(width=None if Console().is_terminal else 150)
    of_workers = Table("worker", "device", "batch", "in hand", "done", "circuits", box=None)
    for worker in workers:
        numbers = (str(number) for number in (worker.batch, worker.in_hand, worker.done))
        of_workers.add_row(worker.id, worker.device, *numbers, " ".join(worker.circuits))
    of_circuits = Table("circuit", "key", "normal", "bulk", "oldest, s", "device, s", "stopped", box=None)
    for load in overview.circuits:
        of_circuits.add_row(
            load.circuit,
            load.key.hex()[:16],
            str(load.normal),
            str(load.bulk),
            f"{load.oldest_seconds:.1f}",
            f"{load.queued_device_seconds:.1f}",
            "" if load.stopped_seconds is None else f"for {load.stopped_seconds:.0f} s",
        )
    console.print(of_workers)
    console.print()
    console.print(of_circuits)
    console.print()
    counted = ", ".join(f"{name} {value}" for name, value in sorted(overview.counters.items()))
    console.print(
        f"running {overview.running}, queued {overview.queued}; so far: {counted or 'nothing'}", soft_wrap=True
    )
    for problem in problems:
        console.print(f"PROBLEM: {problem}", soft_wrap=True)


def _job_document(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "kind": job.kind.value,
        "circuit": job.circuit,
        "key": job.key.hex(),
        "priority": job.priority.name.lower(),
        "tenant": job.tenant,
        "statement_hash": job.statement.hex(),
        "public_inputs": [hex(int.from_bytes(word, "big")) for word in job.public_inputs],
        "created": _time(job.created_ms),
        "expires": _time(job.expires_ms),
        "ended": _time(job.ended_ms) if job.ended_ms else None,
        "attempts": job.attempts,
        "retries": job.retries,
        "losses": job.losses,
        "worker": job.worker,
        "cached": job.cached,
        "fake": job.fake,
        "seconds": dict(job.seconds),
        "error": {"name": job.error.name, "message": str(job.error)} if job.error else None,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
