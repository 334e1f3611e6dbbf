"""The client of the proving cluster over REST: where gRPC cannot go, such as through a SOCKS proxy."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests

# Python's own parser recurses as deep as a text nests, and overflows the stack where a library raised the limit.
from pydantic_core import from_json
from urllib3.exceptions import HTTPError, ReadTimeoutError

from proto import prover_pb2 as messages
from proto.base import ClusterClient
from proto.errors import ProverClientError, RefusedError, TimedOutError, UnreachableError, from_problem
from proto.results import CircuitInfo, JobFailure, JobState, JobStatus

__all__ = ["RestProverClient", "request_json"]

_CONNECT = 20.0
_SHORT_CALL = 30.0
# A gateway says within 15 seconds that a stream is still alive.
_SILENCE = 45.0
# How much longer than the gateway the client waits for an answer that waits for a proof.
_GRACE = 10.0
_PROXIES = ("socks5h", "http", "https")
# No answer of a gateway is as long, and no line of a stream.
_MOST_BYTES = 4 << 20

T = TypeVar("T")


class RestProverClient(ClusterClient):
    """As `ClusterClient` says. `url` is where the gateway serves REST, for example `https://prover.example`.

    `proxy` is a URL such as `socks5h://127.0.0.1:9050`; the proxy looks up the gateway's name too, so no look-up leaves
    this machine beside it. Nothing is taken from the environment: neither proxies nor passwords. `ca_file` (PEM) is
    trusted instead of the usual authorities; `certificate` is a client certificate and its key (PEM files).
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        pinned_key_fingerprint: str | None = None,
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(api_key, pinned_key_fingerprint)
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise RefusedError(f"{url} is not the URL of a gateway, such as https://prover.example", name="invalid-url")
        if proxy is not None and urlsplit(proxy).scheme not in _PROXIES:
            raise RefusedError(
                f"a proxy's URL begins with {', '.join(f'{each}://' for each in _PROXIES)}; with socks5h the proxy "
                "looks names up, with socks5 this machine would",
                name="invalid-url",
            )
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._verify_with: str | bool = ca_file or True
        self._certificate = certificate
        # Sessions are for one thread each.
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def job(self, job_id: str) -> JobStatus:
        return self._job(self._call("GET", _job_path(job_id)))

    def watch(self, job_id: str, timeout: float = 120.0) -> Iterator[JobStatus]:
        deadline = time.monotonic() + timeout
        silence = min(timeout, _SILENCE)
        with self._ask("GET", _job_path(job_id) + "/events", read_timeout=silence) as response:
            try:
                for name, data in _events(response, deadline):
                    if name == "problem":
                        raise from_problem(response.status_code, data, self._url)
                    yield self._job(self._object(data))
            except (requests.Timeout, ReadTimeoutError):
                raise _late(self._url) from None
            except (OSError, HTTPError) as error:
                if time.monotonic() >= deadline:
                    raise _late(self._url) from None
                raise self._unreachable(error) from None

    def cancel(self, job_id: str) -> JobStatus:
        return self._job(self._call("DELETE", _job_path(job_id)))

    def circuits(self) -> list[CircuitInfo]:
        answer = self._call("GET", "/v1/circuits")
        return self._understood(lambda: [_circuit_info(circuit) for circuit in answer["circuits"]])

    def circuit(self, name: str) -> tuple[CircuitInfo, str]:
        answer = self._call("GET", f"/v1/circuits/{quote(name, safe='')}")
        return self._understood(lambda: (_circuit_info(answer["circuit"]), json.dumps(answer["verification_key"])))

    def _prove(self, request: messages.ProveRequest, timeout: float) -> JobStatus:
        return self._job(self._wait_for("/v1/prove", request_json(request), timeout))

    def _submit(self, request: messages.ProveRequest) -> JobStatus:
        return self._job(self._call("POST", "/v1/jobs", request_json(request)))

    def _verify(self, request: messages.VerifyRequest, timeout: float) -> bool:
        body = {
            "circuit": request.circuit,
            "verification_key_digest": request.verification_key_digest.hex(),
            "public_inputs": [f"0x{word.hex()}" for word in request.public_inputs],
            "proof": request.proof.hex(),
        }
        answer = self._wait_for("/v1/verify", body, timeout)
        return self._understood(lambda: answer["valid"] is True)

    def _fetch_cluster_key(self) -> bytes:
        answer = self._call("GET", "/v1/cluster-key")
        return self._understood(lambda: bytes.fromhex(answer["public_key"]))

    def _wait_for(self, path: str, body: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        return self._call("POST", f"{path}?wait={timeout:.3f}", body, timeout + _GRACE)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, read_timeout: float = _SHORT_CALL
    ) -> dict[str, Any]:
        with self._ask(method, path, body, read_timeout=read_timeout) as response:
            return self._object(self._content(response))

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, read_timeout: float
    ) -> requests.Response:
        """Return an answer that is no failure, its content still to be read."""
        try:
            response = self._session().request(
                method,
                self._url + path,
                json=body,
                timeout=(_CONNECT, read_timeout),
                stream=True,
                # The API key goes to this gateway and nowhere else.
                allow_redirects=False,
            )
            if response.status_code // 100 == 2:
                return response
            with response:
                raise from_problem(response.status_code, self._content(response), self._url)
        except requests.ReadTimeout:
            raise _late(self._url) from None
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _content(self, response: requests.Response) -> bytes:
        content = bytearray()
        try:
            for piece in _pieces(response, time.monotonic() + _SHORT_CALL):
                content += piece
                if len(content) > _MOST_BYTES:
                    raise self._no_gateway()
        except (requests.Timeout, ReadTimeoutError):
            raise _late(self._url) from None
        except (OSError, HTTPError) as error:
            raise self._unreachable(error) from None
        return bytes(content)

    def _object(self, content: bytes) -> dict[str, Any]:
        document = self._understood(lambda: from_json(content))
        if not isinstance(document, dict):
            raise self._no_gateway()
        return document

    def _job(self, answer: Mapping[str, Any]) -> JobStatus:
        return self._understood(lambda: _job_status(answer))

    def _understood(self, read: Callable[[], T]) -> T:
        """What `read` makes of an answer; UnreachableError for one that no gateway gives."""
        try:
            return read()
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._no_gateway() from None

    def _no_gateway(self) -> UnreachableError:
        return UnreachableError(f"what answers at {self._url} is no gateway of this release")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.headers.update(self._headers)
            session.proxies.update(self._proxies)
            session.verify = self._verify_with
            session.cert = self._certificate
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _unreachable(self, error: Exception) -> ProverClientError:
        if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
            return RefusedError("for a SOCKS proxy install PySocks: `pip install 'gelap[wallet]'`", name="no-socks")
        if isinstance(error, requests.exceptions.SSLError):
            return UnreachableError(f"TLS to {self._url} failed: is its certificate the right one? ({error})"[:500])
        through = " through the proxy" if self._proxies else ""
        return UnreachableError(
            f"no gateway answers at {self._url}{through}: is `gelap gateway` running there?", retry=True
        )


def request_json(request: messages.ProveRequest) -> dict[str, Any]:
    """Return a request as the REST interface takes it."""
    sealed = request.sealed_inputs
    return {
        "circuit": request.circuit,
        "verification_key_digest": request.verification_key_digest.hex(),
        "public_inputs": [f"0x{word.hex()}" for word in request.public_inputs],
        "sealed_inputs": {
            "key_fingerprint": sealed.key_fingerprint.hex(),
            "encapsulated_key": sealed.encapsulated_key.hex(),
            "ciphertext": sealed.ciphertext.hex(),
        },
        "idempotency_key": request.idempotency_key,
        "priority": int(request.priority),
    }


def _events(response: requests.Response, deadline: float) -> Iterator[tuple[str, bytes]]:
    """Read server-sent events: (name, data). Raises requests.Timeout at the deadline, however steadily they drip."""
    name, data, rest = "", b"", b""
    for piece in _pieces(response, deadline):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"event:"):
                name = line[6:].strip().decode(errors="replace")
            elif line.startswith(b"data:"):
                data += line[5:].strip()
            elif not line and data:
                yield name, data
                name, data = "", b""
        if len(rest) + len(data) > _MOST_BYTES:
            raise UnreachableError(f"what answers at {response.url} is no gateway of this release")


def _pieces(response: requests.Response, deadline: float) -> Iterator[bytes]:
    """The body as it comes, in pieces of any size. Raises requests.Timeout at the deadline, and what urllib3 raises."""
    while piece := response.raw.read1(1 << 16, decode_content=True):
        if time.monotonic() >= deadline:
            raise requests.Timeout
        yield piece


def _late(url: str) -> TimedOutError:
    return TimedOutError(f"the gateway at {url} did not answer in time: ask again, or wait longer", retry=True)


def _job_path(job_id: str) -> str:
    # What is no word would be another path.
    if not job_id.isalnum():
        raise RefusedError(f"there is no such job: {job_id[:64]!r} is no job's id", name="unknown-job")
    return f"/v1/jobs/{quote(job_id)}"


def _job_status(job: Mapping[str, Any]) -> JobStatus:
    failure = job["error"]
    return JobStatus(
        id=job["id"],
        state=JobState(job["state"]),
        circuit=job["circuit"],
        statement_hash=bytes.fromhex(job["statement_hash"]),
        attempts=job["attempts"],
        created_ms=job["created_ms"],
        ended_ms=job["ended_ms"],
        cached=job["cached"],
        proof=bytes.fromhex(job["proof"]) if job["proof"] else None,
        failure=JobFailure(failure["name"], failure["message"], failure["retry"]) if failure else None,
        seconds=dict(job["seconds"]),
        fake=job["fake"],
    )


def _circuit_info(circuit: Mapping[str, Any]) -> CircuitInfo:
    return CircuitInfo(
        name=circuit["name"],
        public_inputs=circuit["public_inputs"],
        verification_key_digest=bytes.fromhex(circuit["verification_key_digest"]),
        development=circuit["development"],
        workers=circuit["workers"],
        proving_key_sha256=bytes.fromhex(circuit["proving_key_sha256"]),
    )
