"""`gelap up`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gelap.settings import Settings

if TYPE_CHECKING:
    from gelap.up.run import Running


def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="GELAP_DATA_DIR",
            help="Keep jobs, proofs, API keys, the cluster's key and logs here. Default: a folder for this run.",
        ),
    ] = None,
    key_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="GELAP_KEY_DIR",
            help="Proving keys and manifest.json; development keys are made if there are none. Default: the cache.",
        ),
    ] = None,
    redis_url: Annotated[
        str | None, typer.Option(envvar="GELAP_REDIS_URL", help="Use this Redis instead of a private one.")
    ] = None,
    circuits: Annotated[
        list[str] | None,
        typer.Option("--circuit", help="Make development keys of this circuit too, if there are none; repeatable."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers.")] = 1,
    address: Annotated[
        str, typer.Option(envvar="GELAP_GATEWAY_ADDRESS", help="Where to serve gRPC; port 0 for any free one.")
    ] = "127.0.0.1:50051",
    http_address: Annotated[
        str, typer.Option(envvar="GELAP_HTTP_ADDRESS", help="Where to serve REST; '' for nowhere.")
    ] = "127.0.0.1:8080",
    metrics_address: Annotated[
        str, typer.Option(envvar="GELAP_GATEWAY_METRICS_ADDRESS", help="Where to serve the gateway's /metrics.")
    ] = "127.0.0.1:0",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON on stdout when everything is ready, and no other.")
    ] = False,
) -> None:
    """A whole proving cluster on this machine until Ctrl-C or SIGTERM: Redis, workers, gateway, keys, an API key.

    When one of its processes ends, all are stopped, and it exits 1 and says which one it was and why.
    """
    from gelap.servers import ServerError
    from gelap.up.run import Running, UpOptions, run
    from prover.errors import ProverError
    from worker.errors import ConfigurationError

    stderr = Console(stderr=True, highlight=False)

    def tell(text: str) -> None:
        stderr.print(f"· {text}", style="dim", markup=False, soft_wrap=True)

    def ready(running: Running) -> None:
        print(json.dumps(running.document()) if as_json else _summary(running), flush=True)

    try:
        keys = (key_dir or Settings().keys).expanduser()
        _ensure_keys(keys, circuits or [])
        run(
            UpOptions(keys, data_dir, redis_url, address, http_address, metrics_address, workers),
            tell,
            ready,
        )
    except (ConfigurationError, ProverError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except (ServerError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _ensure_keys(directory: Path, asked: Sequence[str]) -> None:
    """Make development keys of what is asked for, or in a new folder of what a pool cannot do without, where there are
    none. Those that are there are used as they are: a ceremony's, perhaps.
    """
    new = not (directory / "manifest.json").exists()
    if not new and not asked:
        return
    from prover.keys import ensure_keys, read_manifest
    from prover.progress import on_terminal
    from prover.statements import registry

    names = dict.fromkeys([*(registry.BASIC if new else ()), *map(registry.resolve, asked)])
    missing = [name for name in names if new or read_manifest(directory).find(name) is None]
    if missing:
        with on_terminal("development keys") as progress:
            ensure_keys(directory, missing, progress)


def _summary(running: "Running") -> str:
    rows = [
        ("REST", f"{running.rest}  (described at {running.rest}/docs)" if running.rest else None),
        ("gRPC", running.grpc),
        ("metrics", f"{running.metrics}/metrics" if running.metrics else None),
        ("circuits", ", ".join(running.circuits)),
        ("cluster key", running.cluster_key_fingerprint),
        ("API key", running.api_key_file),
        ("logs", running.logs),
    ]
    lines = [f"{name:12} {value}" for name, value in rows if value]
    if running.development_keys:
        lines.append("The proving keys are for DEVELOPMENT ONLY: who made them could forge proofs.")
    lines += ["", "For gelap status, jobs and apikey:", f"  export GELAP_REDIS_URL=$(cat {running.redis_url_file})"]
    if running.curl:
        lines += ["", "A first proof:", f"  {running.curl}"]
    return "\n".join(lines)
