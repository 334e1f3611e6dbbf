"""`gelap worker`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import structlog
import typer

from gelap import options
from gelap.logs import LogLevel, configure_logs
from gelap.settings import Settings
from worker.errors import ConfigurationError
from worker.executor import LoadedCircuit
from worker.manifest import CircuitEntry


def worker(
    redis_url: options.RedisUrl = None,
    key_dir: Annotated[
        Path | None, typer.Option(envvar="GELAP_KEY_DIR", help="Proving keys and manifest.json.")
    ] = None,
    cluster_key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="GELAP_CLUSTER_KEY_FILE",
            help="The X25519 private key that all workers of the cluster share (PEM, mode 600); made if absent.",
        ),
    ] = None,
    keys_url: Annotated[
        str | None,
        typer.Option(
            envvar="GELAP_KEYS_URL",
            help="Fetch the proving keys from this gateway, or manifest.json, first: see `gelap keys fetch`.",
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            envvar="GELAP_WORKER_CONCURRENCY",
            min=1,
            help="Jobs in hand at once.",
            show_default="twice the largest batch",
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            envvar="GELAP_BATCH_MAX",
            min=1,
            max=1024,
            help="Most jobs of one key proved at once.",
            show_default="what the device takes; 1 on a CPU",
        ),
    ] = None,
    batch_delay: Annotated[
        float,
        typer.Option(envvar="GELAP_BATCH_DELAY", min=0, max=60, help="Seconds that a job waits for more to join it."),
    ] = 0.0,
    min_batch: Annotated[
        int, typer.Option(envvar="GELAP_BATCH_MIN", min=1, help="So many jobs do not wait for more.")
    ] = 1,
    drain: Annotated[
        float,
        typer.Option(
            envvar="GELAP_WORKER_DRAIN",
            min=0,
            help="Seconds that a proof gets to end when the worker is stopped.",
        ),
    ] = 60.0,
    metrics_address: Annotated[str | None, options.metrics_address("GELAP_WORKER_METRICS_ADDRESS")] = None,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Prove jobs from the cluster's queue until SIGTERM or Ctrl-C; then end the jobs in hand and exit 0."""
    settings = Settings()
    try:
        configure_logs(log_level)
        if redis_url is None:
            raise ConfigurationError("a worker needs the cluster's Redis: set GELAP_REDIS_URL or --redis-url")
        from worker import fake
        from worker.service import WorkerConfig, serve

        is_fake = fake.wanted()
        if keys_url:
            _fetch_keys(keys_url, settings.api_key, key_dir or settings.keys)
        config = WorkerConfig(
            redis_url=redis_url,
            key_dir=key_dir or settings.keys,
            cluster_key_file=cluster_key_file or settings.cluster_key_file or settings.cache_dir / "cluster-key.pem",
            concurrency=concurrency,
            max_batch=max_batch,
            batch_delay=batch_delay,
            min_batch=min_batch,
            drain=drain,
            metrics_address=metrics_address,
        )
        status = serve(config, fake.load_fake_circuits if is_fake else _load_circuits)
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def _fetch_keys(url: str, api_key: str | None, directory: Path) -> None:
    from gelap.key_fetch import KeyFetchError, Source, fetch_keys

    log = structlog.get_logger("gelap.worker")
    try:
        names = fetch_keys(
            Source(url, api_key),
            directory,
            [],
            None,
            lambda activity, done, total: log.info("getting ready", activity=activity, done=done, total=total),
        )
    except KeyFetchError as error:
        raise ConfigurationError(str(error)) from None
    log.info("proving keys are there", circuits=names, directory=str(directory))


def _load_circuits(entries: Mapping[str, CircuitEntry]) -> Mapping[str, LoadedCircuit]:
    # The prover takes a second to import; a worker that cannot reach its Redis says so before that.
    from worker.engines import load_circuits

    return load_circuits(entries)
