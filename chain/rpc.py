"""The connection to an EVM node, and the one place where its library's errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3Exception

from chain.errors import RpcError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def connect(url: str, timeout: float = 30.0) -> Web3:
    """A client for the JSON-RPC endpoint `url` (http or https); `timeout` in seconds bounds each request.

    Raises RpcError when nobody answers there.
    """
    if not url.startswith(("http://", "https://")):
        raise RpcError(f"the chain's endpoint must be an http or https URL, got {url!r}: set GELAP_RPC_URL")
    session = requests.Session()
    if urlsplit(url).hostname in LOOPBACK:
        session.trust_env = False  # a proxy named in the environment cannot reach this machine's own node
    w3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": timeout}, session=session))
    with rpc_errors():
        w3.eth.chain_id  # noqa: B018 - one cheap request: a wrong URL is reported here, not in the middle of a payment
    return w3


@contextmanager
def rpc_errors() -> Iterator[None]:
    """Turn transport and node errors into RpcError; a contract's refusal passes through for its own decoder."""
    try:
        yield
    except ContractLogicError:
        raise
    except requests.RequestException as error:
        raise RpcError(
            f"the chain's endpoint does not answer ({type(error).__name__}): check GELAP_RPC_URL and that the node runs"
        ) from error
    except Web3Exception as error:
        raise RpcError(f"the chain's node refused a request: {error}") from error
