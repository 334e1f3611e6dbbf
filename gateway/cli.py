"""`gelap gateway`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from gelap import options
from gelap.logs import LogLevel, configure_logs
from gelap.proto_clash import ProtoClashError, require_own_proto
from gelap.settings import Settings
from worker.errors import ConfigurationError


def gateway(
    redis_url: options.RedisUrl = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="GELAP_GATEWAY_ADDRESS", help="Where to serve gRPC, host:port (default 127.0.0.1:50051)."),
    ] = None,
    http_address: Annotated[
        str | None,
        typer.Option(envvar="GELAP_HTTP_ADDRESS", help="Where to serve REST (default 127.0.0.1:8080); '' for nowhere."),
    ] = None,
    metrics_address: Annotated[
        str | None, options.metrics_address("GELAP_GATEWAY_METRICS_ADDRESS", "/metrics and probes")
    ] = None,
    key_dir: Annotated[
        Path | None,
        typer.Option(envvar="GELAP_KEY_DIR", help="The folder with manifest.json; proving keys in it can be fetched."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="GELAP_TLS_CERT", help="The server's certificate with its chain, PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(envvar="GELAP_TLS_KEY", help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(envvar="GELAP_TLS_CLIENT_CA", help="Let in only clients certified by this CA."),
    ] = None,
    plaintext: Annotated[
        bool, typer.Option("--plaintext", envvar="GELAP_PLAINTEXT", help="Serve others without TLS.")
    ] = False,
    open_door: Annotated[
        bool,
        typer.Option("--open", envvar="GELAP_OPEN", help="Let in every API key, registered or not: to try things out."),
    ] = False,
    rate: Annotated[
        float,
        typer.Option(envvar="GELAP_TENANT_RATE", min=0, help="Calls a second of a tenant without a limit of its own."),
    ] = 100.0,
    burst: Annotated[int, typer.Option(envvar="GELAP_TENANT_BURST", min=1, help="Its calls at once.")] = 200,
    quota: Annotated[
        int, typer.Option(envvar="GELAP_TENANT_QUOTA", min=0, help="Its jobs a day; 0 for any number.")
    ] = 0,
    stall: Annotated[
        float,
        typer.Option(envvar="GELAP_STALL_SECONDS", min=1, help="Not healthy when nothing moves for so long."),
    ] = 120.0,
    notice: Annotated[
        float,
        typer.Option(
            "--drain-notice",
            envvar="GELAP_DRAIN_NOTICE",
            min=0,
            help="Seconds between being not ready and taking no calls.",
        ),
    ] = 0.0,
    drain: Annotated[
        float, typer.Option(envvar="GELAP_DRAIN_SECONDS", min=0, help="Seconds that calls in hand get on a stop.")
    ] = 30.0,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Take proving requests over gRPC and REST until SIGTERM or Ctrl-C; then let the calls in hand end and exit 0."""
    settings = Settings()
    try:
        configure_logs(log_level)
        if redis_url is None:
            raise ConfigurationError("a gateway needs the cluster's Redis: set GELAP_REDIS_URL or --redis-url")
        if (tls_cert is None) != (tls_key is None) or (tls_client_ca and tls_cert is None):
            raise ConfigurationError("TLS needs both a certificate and its key: set GELAP_TLS_CERT and GELAP_TLS_KEY")
        # Its library in C writes lines of its own, which are no JSON, about every stranger's failed handshake.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        require_own_proto()
        from gateway.server import GatewayConfig, serve
        from gateway.tenants import TenantLimits
        from gateway.tls import TlsFiles

        config = GatewayConfig(
            redis_url=redis_url,
            key_dir=key_dir or settings.keys,
            address=address or settings.gateway_address,
            http_address=settings.http_address if http_address is None else http_address or None,
            metrics_address=metrics_address or None,
            tls=TlsFiles(tls_cert, tls_key, tls_client_ca) if tls_cert and tls_key else None,
            plaintext=plaintext,
            open_door=open_door,
            tenants=TenantLimits(rate, burst, quota),
            stall=stall,
            notice=notice,
            drain=drain,
        )
        asyncio.run(serve(config))
    except (ConfigurationError, ProtoClashError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
