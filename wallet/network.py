"""Every connection a wallet makes, directly or all through one proxy, and where its proofs come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from web3 import Web3

from chain.proving import Proven
from chain.rpc import connect as connect_directly
from chain.rpc import rpc_errors
from wallet.errors import RequestError, UnproxiedError
from wallet.proving import LocalProver, RemoteProver

CHAINS = {"local": 31337, "ethereum": 1, "optimism": 10, "base": 8453, "arbitrum": 42161, "sepolia": 11155111}
CONFIRMATIONS = {31337: 0, 1: 12}
OTHER_CONFIRMATIONS = 20
LOCAL = "local"
_SCHEMES = ("socks5h", "http", "https")


def connect(url: str, proxy: str | None, timeout: float = 30.0) -> Web3:
    """A client for the JSON-RPC endpoint `url`; through `proxy`, which then looks names up too, when one is given.

    With a proxy nothing is taken from the environment, and nothing, this machine's own services included, is connected
    to directly. Raises RpcError when nobody answers, UnproxiedError for a proxy that would leak.
    """
    if proxy is None:
        return connect_directly(url, timeout)
    check_proxy(proxy)
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"http": proxy, "https": proxy}
    w3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": timeout}, session=session))
    with rpc_errors():
        w3.eth.chain_id  # noqa: B018 - a wrong URL or proxy is reported here, not in the middle of a payment
    return w3


def check_proxy(proxy: str) -> None:
    """Raises UnproxiedError for a proxy's URL that is none, or one with which this machine would look names up."""
    if urlsplit(proxy).scheme not in _SCHEMES or not urlsplit(proxy).hostname:
        raise UnproxiedError(
            "a proxy is given as socks5h://host:port, such as socks5h://127.0.0.1:9050 for Tor; with socks5:// this "
            "machine would look names up itself"
        )


class ChosenProver:
    """A prover that is set up when the first proof is asked for: proving keys take seconds to load."""

    def __init__(
        self, where: str, *, key_directory: Path, api_key: str | None, fingerprint: str | None, proxy: str | None
    ) -> None:
        """`where` is `local`, grpc://host:port, grpcs://host:port, or the URL of a gateway's REST interface.

        Raises RequestError or UnproxiedError for one that cannot be used, before anything is asked of it.
        """
        self._key_directory = key_directory
        self._local: dict[str, LocalProver] = {}
        self._remote = None if where == LOCAL else _remote(where, api_key, fingerprint, proxy)

    @property
    def is_remote(self) -> bool:
        return self._remote is not None

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Proven:
        """As `chain.proving.ProofSource` says."""
        if self._remote is not None:
            return self._remote.prove(circuit, public_inputs, inputs)
        if circuit not in self._local:
            self._local[circuit] = LocalProver.from_keys(self._key_directory, [circuit])
        return self._local[circuit].prove(circuit, public_inputs, inputs)


def _remote(where: str, api_key: str | None, fingerprint: str | None, proxy: str | None) -> RemoteProver:
    parts = urlsplit(where)
    if parts.scheme not in ("grpc", "grpcs", "http", "https") or not parts.hostname:
        raise RequestError("a prover is `local`, grpc://host:port, grpcs://host:port or https://host")
    if not api_key:
        raise RequestError("a remote prover wants an API key: set GELAP_API_KEY")
    if parts.scheme in ("http", "https"):
        from proto.rest_client import RestProverClient

        return RemoteProver(RestProverClient(where, api_key, fingerprint, proxy=proxy))
    if proxy is not None:
        raise UnproxiedError(
            "gRPC would go around the proxy: give the prover's REST address instead, such as --prover https://host"
        )
    import grpc

    from proto.client import ProverClient

    credentials = grpc.ssl_channel_credentials() if parts.scheme == "grpcs" else None
    return RemoteProver(ProverClient(parts.netloc, api_key, fingerprint, credentials=credentials))
