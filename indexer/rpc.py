"""JSON-RPC endpoints of a chain, and the choice among them.

This client does little, because it is on the path of every event: an answer's JSON is handed on as it was parsed. An
endpoint's URL often holds a key, so messages, logs and metrics name its host only.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import structlog

from chain.errors import MismatchError, RpcError
from indexer import metrics
from indexer.errors import EndpointsError, SettingsError
from indexer.window import Window

T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_ANSWER_BYTES = 256 << 20
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

log = structlog.get_logger("gelap.indexer")


class RefusedError(RpcError):
    """The endpoint answered, with an error; a smaller question may succeed."""


class Endpoint:
    """One endpoint. Not for use by several threads."""

    def __init__(self, url: str, timeout: float = 30.0, window: Window | None = None) -> None:
        """`url` is http or https; `timeout` in seconds bounds the wait for a connection and for each part of an answer.

        Raises SettingsError for another kind of URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("an endpoint of the chain is an http or https URL: set GELAP_RPC_URL")
        self.name = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self.window = window or Window()
        self._url = url
        self._timeout = timeout
        self._session = requests.Session()
        # A proxy named in the environment cannot reach this machine's own node.
        self._session.trust_env = parts.hostname not in LOOPBACK
        self._last_id = 0

    def call(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises RefusedError for the endpoint's own error, RpcError for any other."""
        self._last_id += 1
        question = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        answer = self._post(json.dumps(question, separators=(",", ":")).encode(), method)
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise RpcError(f"{self.name} answers {method} with something that is not JSON-RPC")
        if answer.get("error") is not None:
            error = answer["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise RefusedError(f"{self.name} refuses {method}: {str(message)[:300]}")
        return answer["result"]

    def number(self, method: str, *params: Any) -> int:
        """The result as an integer, which JSON-RPC sends as 0x and hexadecimal digits."""
        return self.read_number(self.call(method, *params), method)

    def read_number(self, value: Any, what: str) -> int:
        try:
            return int(value, 16)
        except (TypeError, ValueError):
            raise RpcError(f"{self.name} answers {what} with no number") from None

    def block(self, number: int) -> dict[str, Any] | None:
        """The header of a block on the endpoint's present chain; None when it has no such block."""
        found = self.call("eth_getBlockByNumber", hex(number), False)
        if found is not None and not (isinstance(found, dict) and {"hash", "timestamp"} <= found.keys()):
            raise RpcError(f"{self.name} answers eth_getBlockByNumber with no block")
        return found

    def block_hash(self, number: int) -> bytes | None:
        found = self.block(number)
        if found is None:
            return None
        try:
            return bytes.fromhex(found["hash"].removeprefix("0x"))
        except (AttributeError, ValueError):
            raise RpcError(f"{self.name} sends a block without a hash") from None

    def close(self) -> None:
        self._session.close()

    def _post(self, body: bytes, method: str) -> Any:
        try:
            with self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                text = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=True)
                status = response.status_code
        except (requests.RequestException, OSError) as error:
            # The exception's own message holds the URL.
            raise RpcError(f"{self.name} does not answer {method} ({type(error).__name__})") from None
        except Exception as error:
            # urllib3's errors while a body is read, which requests wraps only in its own readers.
            raise RpcError(f"{self.name} breaks off its answer to {method} ({type(error).__name__})") from None
        if len(text) > MAX_ANSWER_BYTES:
            raise RefusedError(f"{self.name} answers {method} with more than {MAX_ANSWER_BYTES >> 20} MiB")
        try:
            return json.loads(text)
        except ValueError:
            kind = RefusedError if status in (400, 413) else RpcError
            raise kind(f"{self.name} answers {method} with HTTP status {status}") from None


class Endpoints:
    """Several endpoints of one chain, the first the preferred one.

    One that fails rests, longer after each failure in a row, and the next one is asked meanwhile; when all rest, all
    are asked again in the order in which their rest ends.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], chain_id: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`chain_id` None: the first endpoint that answers decides, and the others must agree."""
        if not endpoints:
            raise SettingsError("an indexer needs a JSON-RPC endpoint of the chain: set GELAP_RPC_URL")
        self.chain_id = chain_id
        self._endpoints = list(endpoints)
        self._clock = clock
        self._checked: set[int] = set()
        self._failures = [0] * len(endpoints)
        self._rests_until = [0.0] * len(endpoints)

    def attempt(self, work: Callable[[Endpoint], T]) -> T:
        """Return what `work` makes of the first endpoint with which it succeeds.

        All requests of one piece of work go to one endpoint: two can be on different forks. When every endpoint fails,
        raises MismatchError if one sent what cannot be true, else EndpointsError.
        """
        mismatch: MismatchError | None = None
        reasons = []
        for number in self._order():
            endpoint = self._endpoints[number]
            try:
                self._check(number)
                result = work(endpoint)
            except (RpcError, MismatchError) as error:
                self._failed(number, error)
                reasons.append(str(error))
                if isinstance(error, MismatchError):
                    mismatch = error
                continue
            self._failures[number] = 0
            self._rests_until[number] = 0.0
            return result
        if mismatch is not None:
            raise mismatch
        raise EndpointsError("no endpoint of the chain can be used: " + "; ".join(reasons))

    def rest(self, endpoint: Endpoint, seconds: float) -> None:
        """Ask others before this one for a while, though it answers."""
        self._rests_until[self._endpoints.index(endpoint)] = self._clock() + seconds

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()

    def _order(self) -> list[int]:
        now = self._clock()
        return sorted(range(len(self._endpoints)), key=lambda n: max(self._rests_until[n], now))

    def _check(self, number: int) -> None:
        if number in self._checked:
            return
        endpoint = self._endpoints[number]
        chain_id = endpoint.number("eth_chainId")
        if self.chain_id is None:
            self.chain_id = chain_id
        if chain_id != self.chain_id:
            raise RpcError(f"{endpoint.name} serves chain {chain_id}, not {self.chain_id}: correct GELAP_RPC_URL")
        self._checked.add(number)

    def _failed(self, number: int, error: Exception) -> None:
        self._checked.discard(number)
        pause = min(FIRST_PAUSE * 2 ** self._failures[number], LONGEST_PAUSE)
        self._failures[number] = min(self._failures[number] + 1, 10)
        self._rests_until[number] = self._clock() + pause
        name = self._endpoints[number].name
        metrics.RPC_ERRORS.labels(name, type(error).__name__).inc()
        log.warning("endpoint failed", endpoint=name, reason=str(error), rests_seconds=pause)
