"""TLS of both listeners, from PEM files that may be replaced while the gateway runs."""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog

from gateway import metrics
from worker.errors import ConfigurationError

log = structlog.get_logger("gelap.gateway")


@dataclass(frozen=True)
class TlsFiles:
    """PEM: the server's certificate with its chain, its private key, and the CA that clients need a certificate of."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


class Tls:
    """The present certificate for both listeners; what connects after `reload_if_changed` gets the new one.

    REST knows a new `client_ca` only after a restart: Python's TLS adds to the authorities it trusts, it forgets none.
    Raises ConfigurationError when the files cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = self._signature()
        self.context = _server_context(files)
        self._pem = _pem(files)
        self._told = self._pem

    def reload_if_changed(self) -> bool:
        """Take up new files; files that do not belong together leave everything as it was."""
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        try:
            # In a context of its own first: a failure half way would leave the live one with half a pair.
            _server_context(self._files)
            pem = _pem(self._files)
            self.context.load_cert_chain(self._files.certificate, self._files.key)
        except (ConfigurationError, OSError) as error:
            metrics.RELOADS.labels("tls", "refused").inc()
            log.error("the new TLS files cannot be used: going on with the old ones", reason=str(error))
            return False
        self._pem = pem
        metrics.RELOADS.labels("tls", "used").inc()
        log.info("TLS files read again")
        return True

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For the gRPC listener: it asks for the present files at every new connection."""
        return grpc.dynamic_ssl_server_credentials(
            _grpc_configuration(self._pem), self._next_configuration, self._files.client_ca is not None
        )

    def _next_configuration(self) -> Any:
        if self._pem == self._told:
            return None  # nothing new
        self._told = self._pem
        return _grpc_configuration(self._told)

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stat(path) for path in self._files.paths)


def require_tls_or_loopback(address: str, tls: TlsFiles | None, plaintext: bool, what: str) -> None:
    """Raise ConfigurationError for a listener that others could read along, unless that was asked for."""
    if tls is None and not plaintext and not is_loopback(address):
        raise ConfigurationError(
            f"{what} would listen on {address} without TLS, and API keys could be read on the way: set GELAP_TLS_CERT "
            "and GELAP_TLS_KEY, or GELAP_PLAINTEXT=1 where something in front of it speaks TLS"
        )


def is_loopback(address: str) -> bool:
    """Whether only this machine can connect to a listener's `host:port` (or `unix:` path)."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{files.certificate} and {files.key} are not a certificate in PEM and its private key without a password "
            f"({error.reason or 'unreadable'})"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"TLS files cannot be read: {error.strerror}: {_named(error, files)}") from None
    if files.client_ca:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"{files.client_ca} is not a CA certificate in PEM ({error.strerror})") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """Instead of OpenSSL asking the terminal for one."""
    return ""


def _named(error: OSError, files: TlsFiles) -> str:
    missing = [str(path) for path in files.paths if not path.is_file()]
    return error.filename or ", ".join(missing) or str(files.key)


def _pem(files: TlsFiles) -> tuple[bytes, bytes, bytes | None]:
    try:
        client_ca = files.client_ca.read_bytes() if files.client_ca else None
        return files.key.read_bytes(), files.certificate.read_bytes(), client_ca
    except OSError as error:
        raise ConfigurationError(f"TLS files cannot be read: {error.strerror}: {error.filename}") from None


def _grpc_configuration(pem: tuple[bytes, bytes, bytes | None]) -> Any:
    key, certificate, client_ca = pem
    return grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
