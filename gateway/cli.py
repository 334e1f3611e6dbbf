"""`gelap gateway`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gelap.logs import LogLevel, configure_logs
from gelap.proto_clash import ProtoClashError, require_own_proto
from gelap.settings import Settings
from worker.errors import ConfigurationError


def gateway(
    redis_url: Annotated[str | None, typer.Option(envvar="GELAP_REDIS_URL", help="Redis of the cluster.")] = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="GELAP_GATEWAY_ADDRESS", help="Where to listen, host:port (default 127.0.0.1:50051)."),
    ] = None,
    key_dir: Annotated[
        Path | None, typer.Option(envvar="GELAP_KEY_DIR", help="The folder with manifest.json; no proving key is read.")
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="GELAP_LOG_LEVEL", help="The least severe lines to log.")
    ] = LogLevel.INFO,
) -> None:
    """Take proving requests over gRPC until SIGTERM or Ctrl-C; then let the calls in hand end and exit 0."""
    settings = Settings()
    try:
        configure_logs(log_level)
        if redis_url is None:
            raise ConfigurationError("a gateway needs the cluster's Redis: set GELAP_REDIS_URL or --redis-url")
        require_own_proto()
        from gateway.server import GatewayConfig, serve

        config = GatewayConfig(
            redis_url=redis_url, key_dir=key_dir or settings.keys, address=address or settings.gateway_address
        )
        asyncio.run(serve(config))
    except (ConfigurationError, ProtoClashError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
