"""The connection to an EVM chain: one web3 client over one or several endpoints.

What belongs together goes to one endpoint, since two can be on different forks: `on_one_endpoint`. A request that an
endpoint does not answer goes to the next one, after growing pauses to all of them once more. A signed transaction is
handed to one endpoint after another as it is, until one takes it: the same bytes can be mined only once.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import requests
from eth_utils import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3Exception
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from chain.endpoints import LONGEST_PAUSE, Endpoint, Endpoints
from chain.errors import RpcError, UnavailableError

# Rounds over all endpoints before a request is given up, and the pause after the first.
ROUNDS = 3
FIRST_PAUSE = 0.25
# JSON-RPC's "limit exceeded" (EIP-1474). For logs it means that too many were asked for, else that too often was asked.
_LIMIT_EXCEEDED = -32005
_SEND = "eth_sendRawTransaction"
_TAKEN = re.compile(r"already|known ?transaction|nonce (is )?too low|oldnonce", re.IGNORECASE)

T = TypeVar("T")


def connect(
    urls: str | Sequence[str], timeout: float = 30.0, *, proxy: str | None = None, ca_file: str | None = None
) -> Web3:
    """A client for the JSON-RPC endpoints `urls` (http or https; text holds several separated by blanks), the first
    the preferred one. `timeout` in seconds bounds the wait for a connection and for each part of an answer.

    With `proxy` (socks5h, http or https) nothing is connected to or looked up without it. `ca_file` holds the
    certificates (PEM) to trust in place of the public ones. All endpoints must serve the chain that the first one to
    answer serves. Raises RpcError when nobody answers; messages name hosts and no more of a URL.
    """
    named = urls.split() if isinstance(urls, str) else list(urls)
    if not named:
        raise RpcError("which node? The chain's endpoint is an http or https URL: set GELAP_RPC_URL")
    endpoints = [Endpoint(url, timeout, proxy=proxy, ca_file=ca_file) for url in named]
    w3 = Web3(FailoverProvider(endpoints, timeout))
    # It asks for the chain's id before every call, to compare it with what a call names, and ours name none. It also
    # takes blocks of a chain with another consensus for false ones.
    w3.middleware_onion.remove("validation")
    with rpc_errors():
        w3.eth.chain_id  # noqa: B018 - one cheap request: a wrong URL is reported here, not in the middle of a payment
    return w3


def on_one_endpoint(w3: Web3, work: Callable[[], T]) -> T:
    """Return what `work` returns, with all its requests answered by one endpoint; repeats it on the next when one
    stops answering. For reading only: what it does may be done several times.
    """
    provider = w3.provider
    return provider.together(work) if isinstance(provider, FailoverProvider) else work()


def on_each_endpoint(w3: Web3, work: Callable[[], T]) -> list[tuple[Endpoint, T]]:
    """What `work` returns with all its requests answered by one endpoint, for each that answers, the preferred
    one first; nothing for a client that `connect` did not make. For reading only.
    """
    provider = w3.provider
    return provider.each(work) if isinstance(provider, FailoverProvider) else []


def endpoint_count(w3: Web3) -> int:
    """How many endpoints were named, those that do not answer included."""
    provider = w3.provider
    return len(provider.endpoints.all) if isinstance(provider, FailoverProvider) else 1


def prefer(w3: Web3, endpoint: Endpoint) -> None:
    """Ask this one of several endpoints first from now on."""
    if isinstance(w3.provider, FailoverProvider):
        w3.provider.endpoints.prefer(endpoint)


class FailoverProvider(JSONBaseProvider):
    """web3's way to the endpoints. Raises UnavailableError when none answers."""

    # A node could else have this program fetch any URL (EIP-3668), and around the proxy.
    global_ccip_read_enabled = False

    def __init__(
        self, endpoints: Sequence[Endpoint], patience: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """No further round over the endpoints begins after `patience` seconds."""
        super().__init__()
        self.endpoints = Endpoints(endpoints)
        self._patience = patience
        self._sleep = sleep
        self._pinned = threading.local()

    @property
    def endpoint_uri(self) -> str:
        """The preferred endpoint's URL, with any key in it: not to be shown."""
        return self.endpoints.all[0].url

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        body = self.encode_rpc_request(method, params)
        if method == _SEND:
            return self._hand_over(body, HexBytes(params[0]))
        pinned: Endpoint | None = getattr(self._pinned, "endpoint", None)
        if pinned is not None:
            return _answer(pinned, body, method)
        return self._patiently(lambda endpoint: _answer(endpoint, body, method))

    def together(self, work: Callable[[], T]) -> T:
        """As `on_one_endpoint` says; within another such piece of work it is a part of that one."""
        if getattr(self._pinned, "endpoint", None) is not None:
            return work()

        def on(endpoint: Endpoint) -> T:
            self._pinned.endpoint = endpoint
            try:
                return work()
            finally:
                self._pinned.endpoint = None

        return self._patiently(on)

    def each(self, work: Callable[[], T]) -> list[tuple[Endpoint, T]]:
        """As `on_each_endpoint` says; those that rest are left out."""
        found: list[tuple[Endpoint, T]] = []
        pinned: Endpoint | None = getattr(self._pinned, "endpoint", None)
        for endpoint in self.endpoints.awake():
            self._pinned.endpoint = endpoint
            try:
                found.append((endpoint, work()))
            except UnavailableError as error:
                self.endpoints.failed(endpoint, error)
                if error.timed_out:
                    # Not to be waited for at the next question too.
                    self.endpoints.rest(endpoint, LONGEST_PAUSE)
            except RpcError:
                continue  # it answers, and does not know
            finally:
                self._pinned.endpoint = pinned
        return found

    def _patiently(self, work: Callable[[Endpoint], T]) -> T:
        give_up = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        for _ in range(ROUNDS - 1):
            try:
                return self.endpoints.attempt(work, (UnavailableError,))
            except UnavailableError as error:
                wait = max(pause, error.wait_seconds)
                if error.timed_out or time.monotonic() + wait > give_up:
                    raise
            self._sleep(wait)
            pause *= 2
        return self.endpoints.attempt(work, (UnavailableError,))

    def _hand_over(self, body: bytes, raw: bytes) -> RPCResponse:
        """Not repeated after a pause: whether it was taken is for whoever signed it to find out."""
        doubtful = False

        def hand_to(endpoint: Endpoint) -> RPCResponse:
            nonlocal doubtful
            try:
                answer = _answer(endpoint, body, _SEND)
            except UnavailableError as error:
                doubtful |= error.delivered
                raise
            if doubtful and "error" in answer and _TAKEN.search(str(answer["error"])):
                # Another endpoint took it before its answer was lost.
                return {"jsonrpc": "2.0", "id": 0, "result": HexBytes(keccak(raw)).to_0x_hex()}
            return answer

        try:
            return self.endpoints.attempt(hand_to, (UnavailableError,))
        except UnavailableError as error:
            error.delivered = doubtful
            raise


def _answer(endpoint: Endpoint, body: bytes, method: str) -> RPCResponse:
    answer = endpoint.answer(body, method)
    error = answer.get("error")
    if isinstance(error, dict) and error.get("code") == _LIMIT_EXCEEDED and method != "eth_getLogs":
        raise UnavailableError(f"{endpoint.name} is asked too often", delivered=False)
    return cast(RPCResponse, answer)  # as JSON-RPC has it; web3 looks at it closely


@contextmanager
def rpc_errors() -> Iterator[None]:
    """Turn transport and node errors into RpcError; a contract's refusal passes through for its own decoder."""
    try:
        yield
    except ContractLogicError:
        raise
    except requests.RequestException as error:
        raise UnavailableError(
            f"the chain's endpoint does not answer ({type(error).__name__}): check GELAP_RPC_URL and that the node runs"
        ) from error
    except Web3Exception as error:
        raise RpcError(f"the chain's node refused a request: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        # web3's, about an answer in a form that no node should send.
        raise RpcError(f"the chain's node sends an answer that cannot be read ({type(error).__name__})") from error
