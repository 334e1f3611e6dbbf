"""Every connection a wallet makes, directly or all through one proxy, and where its proofs come from."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web3 import Web3

from chain.http import LOOPBACK, host_of
from chain.proving import Proven
from chain.relayer.client import RelayerClient
from chain.rpc import connect as connect_to_chain
from chain.stream.source import IndexerSource
from wallet.errors import ProvingError, RequestError, UnproxiedError
from wallet.proving import LocalProver, RemoteProver

CHAINS = {"local": 31337, "ethereum": 1, "optimism": 10, "base": 8453, "arbitrum": 42161, "sepolia": 11155111}
CONFIRMATIONS = {31337: 0, 1: 12}
OTHER_CONFIRMATIONS = 20
LOCAL = "local"
_SCHEMES = ("socks5h", "http", "https")


def connect(
    urls: str | Sequence[str], proxy: str | None = None, ca_file: str | None = None, timeout: float = 30.0
) -> Web3:
    """A client for the chain's nodes `urls`; through `proxy`, which then looks names up too, when one is given.

    With a proxy nothing is taken from the environment, and nothing, this machine's own services included, is connected
    to directly. Raises RpcError when nobody answers, UnproxiedError for a proxy that would leak.
    """
    check(proxy, ca_file)
    return connect_to_chain(urls, timeout, proxy=isolated(proxy, "node"), ca_file=ca_file)


def open_indexer(
    url: str, chain_id: int, pool: str, proxy: str | None = None, ca_file: str | None = None
) -> IndexerSource:
    """The indexer at `url` as a source of this pool's events; errors as for `connect`, and SourceError."""
    check(proxy, ca_file)
    return IndexerSource(url, chain_id, pool, isolated(proxy, "indexer"), ca_file=ca_file)


def open_relayer(url: str, proxy: str | None = None, ca_file: str | None = None) -> RelayerClient:
    """The relayer at `url`; errors as for `connect`, and RelayerError."""
    check(proxy, ca_file)
    return RelayerClient(url, proxy=isolated(proxy, "relayer"), ca_file=ca_file)


def check(proxy: str | None, ca_file: str | None) -> None:
    """Raises UnproxiedError for a proxy's URL that is none, or one with which this machine would look names up, and
    RequestError for a file of certificates that is not there.
    """
    if proxy is not None and (urlsplit(proxy).scheme not in _SCHEMES or not urlsplit(proxy).hostname):
        raise UnproxiedError(
            "a proxy is given as socks5h://host:port, such as socks5h://127.0.0.1:9050 for Tor; with socks5:// this "
            "machine would look names up itself"
        )
    if ca_file is not None and not Path(ca_file).is_file():
        raise RequestError(f"there is no file of certificates at {ca_file}")


# Another one each run, so that two runs cannot be linked either.
_RUN = secrets.token_hex(8)


def isolated(proxy: str | None, service: str) -> str | None:
    """The proxy with a user's name of its own for each kind of service, unless one was given.

    Tor takes connections with different names through different circuits, so that node, indexer, relayer and prover
    see different addresses and cannot find each other's visitors by them. Other SOCKS proxies ignore such a name.
    """
    if proxy is None or urlsplit(proxy).scheme != "socks5h" or "@" in urlsplit(proxy).netloc:
        return proxy
    return proxy.replace("://", f"://gelap-{service}-{_RUN}:0@", 1)


def is_own(url: str) -> bool:
    """Whether the service at `url` runs on this machine, so that asking it tells nobody else anything."""
    return urlsplit(url).hostname in LOOPBACK


def is_readable_on_the_way(url: str) -> bool:
    """Whether others on the way to `url` can read what is said: no TLS, no onion service, not this machine."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "grpc") and not is_own(url) and not (parts.hostname or "").endswith(".onion")


class ChosenProver:
    """A prover that is set up when the first proof is asked for: proving keys take seconds to load."""

    def __init__(
        self,
        where: str,
        *,
        key_directory: Path,
        api_key: str | None,
        fingerprint: str | None,
        proxy: str | None,
        ca_file: str | None = None,
    ) -> None:
        """`where` is `local`, grpc://host:port, grpcs://host:port, or the URL of a gateway's REST interface; `ca_file`
        holds the certificates (PEM) to trust in place of the public ones.

        Raises RequestError or UnproxiedError for one that cannot be used, before anything is asked of it.
        """
        self._key_directory = key_directory
        self._local: dict[str, LocalProver] = {}
        self._remote = None if where == LOCAL else _remote(where, api_key, fingerprint, proxy, ca_file)

    @property
    def is_remote(self) -> bool:
        return self._remote is not None

    def circuits(self) -> frozenset[str]:
        """The circuits that it has keys for; ProvingError where that cannot be said."""
        if self._remote is not None:
            return self._remote.circuits()
        from prover.errors import ProverError
        from prover.keys import read_manifest

        try:
            return frozenset(keys.name for keys in read_manifest(self._key_directory).circuits)
        except ProverError as error:
            raise ProvingError(f"this machine cannot prove: {error}") from error

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Proven:
        """As `chain.proving.ProofSource` says."""
        if self._remote is not None:
            return self._remote.prove(circuit, public_inputs, inputs)
        if circuit not in self._local:
            self._local[circuit] = LocalProver.from_keys(self._key_directory, [circuit])
        return self._local[circuit].prove(circuit, public_inputs, inputs)


def _remote(
    where: str, api_key: str | None, fingerprint: str | None, proxy: str | None, ca_file: str | None
) -> RemoteProver:
    parts = urlsplit(where)
    if parts.scheme not in ("grpc", "grpcs", "http", "https") or not parts.hostname:
        raise RequestError("a prover is `local`, grpc://host:port, grpcs://host:port or https://host")
    if not api_key:
        raise RequestError("a remote prover wants an API key: set GELAP_API_KEY")
    check(proxy, ca_file)
    if ca_file is not None and parts.scheme in ("grpc", "http"):
        raise RequestError("the prover's certificates are named, but its address has no TLS: grpcs:// or https://")
    if host_of(where) is not None:
        from proto.rest_client import RestProverClient

        through = isolated(proxy, "prover")
        return RemoteProver(RestProverClient(where, api_key, fingerprint, proxy=through, ca_file=ca_file))
    if proxy is not None:
        raise UnproxiedError(
            "gRPC would go around the proxy: give the prover's REST address instead, such as --prover https://host"
        )
    import grpc

    from proto.client import ProverClient

    credentials = None
    if parts.scheme == "grpcs":
        trusted = None if ca_file is None else Path(ca_file).read_bytes()
        credentials = grpc.ssl_channel_credentials(root_certificates=trusted)
    return RemoteProver(ProverClient(parts.netloc, api_key, fingerprint, credentials=credentials))
