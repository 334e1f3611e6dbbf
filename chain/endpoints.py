"""JSON-RPC endpoints of a chain, and the choice among them.

A client does little, because an indexer has it on the path of every event: an answer's JSON is handed on as it was
parsed. An endpoint's URL often holds a key, so messages, logs and metrics name its host only.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from chain.errors import MismatchError, RpcError, UnavailableError
from chain.http import TooLongError, host_of, open_session, parse_json, read_body, retry_after

MAX_ANSWER_BYTES = 256 << 20
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# An endpoint that asks for a longer pause is asked again after this one.
LONGEST_REST = 300.0
# An answer may take so many times the time that each part of it may take.
_SLOW_ANSWER = 10
_BUSY_STATUS = (429, 502, 503, 504)

T = TypeVar("T")
E = TypeVar("E", bound="Endpoint")


class RefusedError(RpcError):
    """The endpoint answered, with an error; a smaller question may succeed."""


class OtherChainError(RpcError):
    """The endpoint is one of another chain."""


class NoEndpointError(UnavailableError):
    """None of several endpoints could be used."""


class Endpoint:
    """One endpoint. Threads have connections of their own."""

    def __init__(
        self, url: str, timeout: float = 30.0, *, proxy: str | None = None, ca_file: str | None = None
    ) -> None:
        """`url` is http or https; `timeout` in seconds bounds the wait for a connection and for each part of an answer.

        With `proxy` nothing goes around it; `ca_file` holds the certificates (PEM) to trust in place of the public
        ones. Raises RpcError for another kind of URL.
        """
        name = host_of(url)
        if name is None:
            raise RpcError("an endpoint of the chain is an http or https URL: set GELAP_RPC_URL")
        self.name = name
        self.url = url
        self._timeout = timeout
        self._proxy = proxy
        self._ca_file = ca_file
        self._sessions: list[requests.Session] = []
        self._thread = threading.local()
        self._last_id = 0

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    def call(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises RefusedError for the endpoint's own error, RpcError for any other."""
        self._last_id += 1
        question = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        answer = self.answer(json.dumps(question, separators=(",", ":")).encode(), method)
        if answer.get("error") is not None:
            error = answer["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise RefusedError(f"{self.name} refuses {method}: {str(message)[:300]}")
        return answer["result"]

    def answer(self, body: bytes, method: str) -> dict[str, Any]:
        """What the endpoint answers to the request `body`: JSON-RPC with `result` or `error`.

        Raises UnavailableError for no answer, RefusedError for one that is too long, RpcError for anything else.
        """
        answer = self._post(body, method)
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise RpcError(f"{self.name} answers {method} with something that is not JSON-RPC")
        return answer

    def number(self, method: str, *params: Any) -> int:
        """The result as an integer, which JSON-RPC sends as 0x and hexadecimal digits."""
        return self.read_number(self.call(method, *params), method)

    def read_number(self, value: Any, what: str) -> int:
        try:
            return int(value, 16)
        except (TypeError, ValueError):
            raise RpcError(f"{self.name} answers {what} with no number") from None

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _post(self, body: bytes, method: str) -> Any:
        try:
            with self._session().post(
                self.url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                text = read_body(response, MAX_ANSWER_BYTES, _SLOW_ANSWER * self._timeout)
        except TooLongError:
            raise RefusedError(f"{self.name} answers {method} with more than {MAX_ANSWER_BYTES >> 20} MiB") from None
        except (OSError, HTTPError, ValueError) as error:
            # The exception's own message holds the URL.
            raise self._no_answer(error, method) from None
        status = response.status_code
        if status in _BUSY_STATUS:
            raise UnavailableError(
                f"{self.name} answers {method} with HTTP status {status}",
                wait_seconds=retry_after(response),
                delivered=status != 429,
            )
        try:
            return parse_json(text)
        except ValueError:
            message = f"{self.name} answers {method} with HTTP status {status}"
            if status >= 500:
                raise UnavailableError(message) from None
            raise (RefusedError if status in (400, 413) else RpcError)(message) from None

    def _no_answer(self, error: Exception, method: str) -> UnavailableError:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        unconnected = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
        return UnavailableError(
            f"{self.name} does not answer {method} ({type(error).__name__})",
            timed_out=isinstance(error, requests.Timeout | TimeoutError),
            delivered=not isinstance(error, unconnected)
            and not isinstance(reason, NewConnectionError | ConnectTimeoutError),
        )

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = open_session(self.url, self._proxy, self._ca_file)
            self._sessions.append(session)
        return session


class Endpoints(Generic[E]):
    """Several endpoints of one chain, the first the preferred one.

    One that fails rests, longer after each failure in a row, and the next one is asked meanwhile; when all rest, all
    are asked again in the order in which their rest ends.
    """

    def __init__(
        self, endpoints: Sequence[E], chain_id: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`chain_id` None: the first endpoint that answers decides, and the others must agree."""
        self.chain_id = chain_id
        self.all = tuple(endpoints)
        self._clock = clock
        self._checked: set[int] = set()
        self._failures = [0] * len(endpoints)
        self._rests_until = [0.0] * len(endpoints)
        self._preferred = 0

    def attempt(self, work: Callable[[E], T], move_on: tuple[type[Exception], ...] = (RpcError, MismatchError)) -> T:
        """Return what `work` makes of the first endpoint with which it succeeds; errors of the kinds `move_on` lead to
        the next one.

        All requests of one piece of work go to one endpoint: two can be on different forks. When every endpoint fails,
        raises MismatchError if one sent what cannot be true, else NoEndpointError.
        """
        failures: list[Exception] = []
        for number in self._order():
            endpoint = self.all[number]
            try:
                self.check(endpoint)
            except RpcError as error:
                self.failed(endpoint, error)
                failures.append(error)
                continue
            try:
                result = work(endpoint)
            except move_on as error:
                self.failed(endpoint, error)
                failures.append(error)
                continue
            self._failures[number] = 0
            self._rests_until[number] = 0.0
            return result
        raise _all_failed(failures)

    def rest(self, endpoint: E, seconds: float) -> None:
        """Ask others before this one for a while, though it answers."""
        self._rests_until[self.all.index(endpoint)] = self._clock() + seconds

    def prefer(self, endpoint: E) -> None:
        """Ask this one first from now on, while it does not rest."""
        self._preferred = self.all.index(endpoint)

    def awake(self) -> list[E]:
        """Those that do not rest, in the order in which they are asked."""
        now = self._clock()
        return [self.all[number] for number in self._order() if self._rests_until[number] <= now]

    def check(self, endpoint: E) -> None:
        """Ask for its chain's id, once. Raises OtherChainError when the others have another, RpcError for no answer."""
        number = self.all.index(endpoint)
        if number in self._checked:
            return
        chain_id = endpoint.number("eth_chainId")
        if self.chain_id is None:
            self.chain_id = chain_id
        if chain_id != self.chain_id:
            raise OtherChainError(
                f"{endpoint.name} serves chain {chain_id}, not {self.chain_id}: correct GELAP_RPC_URL"
            )
        self._checked.add(number)

    def failed(self, endpoint: E, error: Exception) -> None:
        """Let `endpoint` rest, longer after each failure in a row."""
        number = self.all.index(endpoint)
        self._checked.discard(number)
        pause = min(FIRST_PAUSE * 2 ** self._failures[number], LONGEST_PAUSE)
        pause = min(max(pause, getattr(error, "wait_seconds", 0.0)), LONGEST_REST)
        self._failures[number] = min(self._failures[number] + 1, 10)
        self._rests_until[number] = self._clock() + pause
        self._note_failure(endpoint, error, pause)

    def close(self) -> None:
        for endpoint in self.all:
            endpoint.close()

    def _order(self) -> list[int]:
        now = self._clock()
        return sorted(range(len(self.all)), key=lambda n: (max(self._rests_until[n], now), n != self._preferred))

    def _note_failure(self, endpoint: E, error: Exception, pause: float) -> None:
        """For metrics and logs: `endpoint` failed and rests for `pause` seconds."""


def _all_failed(failures: Sequence[Exception]) -> Exception:
    for error in failures:
        if isinstance(error, MismatchError):
            return error
    reasons = "; ".join(str(error) for error in failures)
    unavailable = [error for error in failures if isinstance(error, UnavailableError)]
    return NoEndpointError(
        f"no endpoint of the chain can be used ({reasons}): check GELAP_RPC_URL and that the node runs",
        wait_seconds=min((error.wait_seconds for error in unavailable), default=0.0),
        timed_out=any(error.timed_out for error in unavailable),
        delivered=any(error.delivered for error in unavailable),
    )
