"""REST and gRPC are two ways to the same calls: what one says the other says too."""

import itertools
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest
import requests

from gateway.rest.operations import OPERATIONS
from proto import errors, prover_pb2
from proto.client import JobState, Priority
from proto.rest_client import RestProverClient, request_json
from protocol.field import R
from tests.service.cluster_processes import PATIENCE, until

ROOTS = itertools.count(5_000_000)
KEY = "alice"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def square(root=None, **more):
    """A fresh statement with its inputs."""
    root = next(ROOTS) if root is None else root
    return [root**2], {"square": root**2, "root": root, **more}


@pytest.fixture
def rest(running):
    with running.rest_client(KEY) as client:
        yield client


@pytest.fixture
def grpc_client(running):
    with running.client(KEY) as client:
        yield client


@pytest.fixture
def http(running):
    """Ask the gateway by hand: (method, path, ...) -> response."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(HEADERS)
        yield lambda method, path, **options: session.request(
            method, running.url + path, timeout=2 * PATIENCE, **options
        )


def test_a_statement_is_proved_and_its_proof_verifies(rest):
    public, inputs = square()
    result = rest.prove("square", public, inputs)
    assert (len(result.proof), result.cached, result.fake) == (256, False, False)
    assert rest.prove("square", public, inputs).cached
    assert rest.verify("square", public, result.proof) is True
    assert rest.verify("square", [public[0] + 1], result.proof) is False


def test_both_interfaces_show_the_same_jobs_circuits_and_keys(rest, grpc_client):
    result = rest.prove("square", *square())
    assert rest.job(result.job_id) == grpc_client.job(result.job_id)
    assert rest.circuits() == grpc_client.circuits()
    (circuit, key), (same, same_key) = rest.circuit("square"), grpc_client.circuit("square")
    assert circuit == same
    assert json.loads(key) == json.loads(same_key)
    assert rest.cluster_key() == grpc_client.cluster_key()


def test_a_submitted_job_can_be_watched_to_its_end(rest, running):
    gate = running.gate()
    job = rest.submit("square", *square(gate=gate.number))
    watch = rest.watch(job.id)
    while next(watch).state is not JobState.RUNNING:
        pass
    gate.open()
    assert [seen.state for seen in watch] == [JobState.SUCCEEDED]
    assert [seen.state for seen in rest.watch(job.id)] == [JobState.SUCCEEDED]


def test_watching_ends_with_the_watchers_patience(rest, running):
    gate = running.gate()
    job = rest.submit("square", *square(gate=gate.number))
    with pytest.raises(errors.TimedOutError):
        list(rest.watch(job.id, timeout=0.5))
    assert rest.cancel(job.id).state is JobState.CANCELLED
    gate.open()


def test_a_long_poll_answers_when_the_job_ends_or_the_wait_is_over(rest, http, running):
    gate = running.gate()
    job = rest.submit("square", *square(gate=gate.number, pause=300))
    early = http("GET", f"/v1/jobs/{job.id}?wait=0.1").json()
    assert (early["state"] in ("QUEUED", "RUNNING"), early["proof"]) == (True, None)
    gate.open()
    started = time.monotonic()
    ended = http("GET", f"/v1/jobs/{job.id}?wait={PATIENCE}").json()
    assert ended["state"] == "SUCCEEDED"
    assert len(ended["proof"]) == 512
    assert time.monotonic() - started < PATIENCE, "not when the wait is over"


def test_cancelling_ends_a_job(rest, grpc_client, running):
    gate = running.gate()
    job = grpc_client.submit("square", *square(gate=gate.number))
    assert rest.cancel(job.id).state is JobState.CANCELLED
    gate.open()
    assert grpc_client.job(job.id).failure.name == "cancelled"


def test_a_bulk_job_is_proved_too(rest, grpc_client):
    assert rest.prove("square", *square(), priority=Priority.BULK).proof
    assert grpc_client.prove("square", *square(), priority=Priority.BULK).proof


def raised(call):
    with pytest.raises(errors.ProverClientError) as caught:
        call()
    return caught.value


WRONG = {
    "an unknown circuit": lambda client: client.prove("cube", [1], {}),
    "an unknown job": lambda client: client.job("0" * 32),
    "an id that is none": lambda client: client.job("../../etc/passwd"),
    "a job id of a dot": lambda client: client.job("."),
    "watching an unknown job": lambda client: list(client.watch("0" * 32)),
    "cancelling an unknown job": lambda client: client.cancel("0" * 32),
    "too many public inputs": lambda client: client.prove("square", [1, 2], {"square": 1, "root": 1}),
    "a proof of the wrong length": lambda client: client.verify("square", [1], b"short"),
    "a fake proof": lambda client: client.verify("square", [1], b"\xff" * 256),
    "an input that is missing": lambda client: client.prove("square", [4], {"square": 4}),
    "a broken constraint": lambda client: client.prove("square", [4], {"square": 4, "root": 3}),
    "another statement": lambda client: client.prove("square", [5], {"square": 4, "root": 2}),
    "a long idempotency key": lambda client: client.submit("square", *square(), idempotency_key="x" * 129),
    "a wrong proof": lambda client: client.prove("square", *square(trouble=3)),
    "a short wait": lambda client: client.prove("square", *square(pause=1500), timeout=0.3),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_goes_wrong_is_the_same_failure_over_both_interfaces(wrong, rest, grpc_client):
    over_rest, over_grpc = raised(lambda: WRONG[wrong](rest)), raised(lambda: WRONG[wrong](grpc_client))
    assert type(over_rest) is type(over_grpc)
    # Over gRPC the deadline passes in the client, before the gateway has said anything.
    if wrong != "a short wait":
        assert (over_rest.name, over_rest.retry, over_rest.retry_after) == (
            over_grpc.name,
            over_grpc.retry,
            over_grpc.retry_after,
        )
        assert (over_rest.job_id is None) == (over_grpc.job_id is None)
        assert over_rest.name


def test_an_api_key_is_needed_everywhere(http, running):
    for operation in OPERATIONS:
        path = re.sub(r"\{.*?\}", "0" * 32, operation.path)
        answer = requests.request(operation.method, running.url + path, timeout=PATIENCE)
        assert answer.status_code == 401, operation
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["name"] == "unauthenticated"


def sound_request(client):
    return request_json(client.sealed_request("square", *square()))


def test_an_idempotency_key_may_be_a_header(rest, http):
    body, key = sound_request(rest), f"order {next(ROOTS)}"
    first = http("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": key})
    assert first.status_code == 202
    assert first.headers["Location"] == f"/v1/jobs/{first.json()['id']}"
    again = http("POST", "/v1/prove", json=body | {"idempotency_key": key})
    assert again.json()["id"] == first.json()["id"]
    other = http("POST", "/v1/jobs", json=sound_request(rest), headers={"Idempotency-Key": key})
    assert (other.status_code, other.json()["name"]) == (409, "idempotency-conflict")
    both = http("POST", "/v1/jobs", json=body | {"idempotency_key": "a"}, headers={"Idempotency-Key": "b"})
    assert (both.status_code, both.json()["name"]) == (400, "invalid-request")


MALFORMED = {
    "no JSON": (lambda body: b"{", 400, "Invalid JSON"),
    "not an object": (lambda body: b"[]", 400, "object"),
    "deep": (lambda body: b"[" * 100_000, 400, ""),
    "not UTF-8": (lambda body: b'{"circuit": "\xff"}', 400, ""),
    "nothing": (lambda body: b"", 400, ""),
    "an unknown field": (lambda body: body | {"witness": "42"}, 400, "witness"),
    "a missing field": (lambda body: {"circuit": body["circuit"]}, 400, "verification_key_digest"),
    "bytes that are none": (lambda body: body | {"verification_key_digest": "zz"}, 400, "hexadecimal"),
    "a number that is none": (lambda body: body | {"public_inputs": ["1e3"]}, 400, "public_inputs.0"),
    "a JSON number": (lambda body: body | {"public_inputs": [25]}, 400, "a public input is a string"),
    "a negative number": (lambda body: body | {"public_inputs": ["-1"]}, 400, "below 2^256"),
    "2^256": (lambda body: body | {"public_inputs": [str(2**256)]}, 400, "below 2^256"),
    "the modulus": (lambda body: body | {"public_inputs": [str(R)]}, 400, "public input 0"),
    "an alias": (lambda body: body | {"public_inputs": [hex(R + 1)]}, 400, "public input 0"),
    "digits of another script": (lambda body: body | {"public_inputs": ["١٢"]}, 400, "a public input is a string"),
    "a long number": (lambda body: body | {"public_inputs": ["1" * 100_000]}, 400, "a public input is a string"),
    "a priority that is none": (lambda body: body | {"priority": 3}, 400, "no priority"),
    "a huge priority": (lambda body: body | {"priority": 2**70}, 400, ""),
    "another cluster key": (
        lambda body: body | {"sealed_inputs": body["sealed_inputs"] | {"key_fingerprint": "00" * 32}}, 409, "seal them",
    ),
    "a short encapsulated key": (
        lambda body: body | {"sealed_inputs": body["sealed_inputs"] | {"encapsulated_key": "00"}}, 400, "32 bytes",
    ),
    "too large": (lambda body: body | {"idempotency_key": "x" * (2 << 20)}, 413, "2097152 bytes at most"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_a_problem_that_quotes_nothing(case, rest, http):
    change, status, says = MALFORMED[case]
    body = change(sound_request(rest))
    answer = http("POST", "/v1/prove", **({"data": body} if isinstance(body, bytes) else {"json": body}))
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert says in problem["detail"]
    assert len(answer.content) < 1000
    assert "42" not in problem["detail"]
    assert problem["type"] == f"urn:gelap:error:{problem['name']}"


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "inf", ""])
def test_a_wait_that_is_none_is_refused(wait, http):
    answer = http("GET", f"/v1/jobs/{'0' * 32}?wait={wait}")
    assert (answer.status_code, answer.json()["name"]) == (400, "invalid-request")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("PUT", "/v1/prove", 405), ("GET", "/v2", 404)]
)
def test_a_path_of_nothing_is_a_problem_too(method, path, status, http):
    answer = http(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert "/docs" in answer.json()["detail"]


def test_the_openapi_document_describes_every_operation_and_failure(http):
    document = http("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(operation.method, operation.path) for operation in OPERATIONS}
    methods = {method.name for method in prover_pb2.DESCRIPTOR.services_by_name["Prover"].methods}
    assert methods <= {operation.name for operation in OPERATIONS}, "every gRPC method has a twin"
    text = json.dumps(document)
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text):
        assert reference in document["components"]["schemas"]
    assert "rate-limited" in document["components"]["schemas"]["Problem"]["properties"]["name"]["enum"]


def test_the_description_for_people_loads_nothing_from_anywhere(http):
    answer = http("GET", "/docs")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert not re.findall(r'(?:src|href)="(?!#|openapi\.json)', answer.text)
    assert "/v1/prove" in answer.text


def test_answers_are_what_the_document_says(http, rest):
    schemas = http("GET", "/openapi.json").json()["components"]["schemas"]
    job = http("POST", "/v1/prove", json=sound_request(rest)).json()
    assert set(job) == set(schemas["Job"]["properties"])
    problem = http("GET", f"/v1/jobs/{'0' * 32}").json()
    assert set(schemas["Problem"]["required"]) <= set(problem) <= set(schemas["Problem"]["properties"])


def test_a_caller_who_hangs_up_leaves_no_waiting_call_behind(running, rest):
    """A vanished client: the call ends at once, the job goes on."""
    gate, gateway = running.gate(), running.latest_gateway
    body = json.dumps(request_json(rest.sealed_request("square", *square(gate=gate.number)))).encode()
    before = taken_in(gateway)
    host, port = running.listening("http_port").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            f"POST /v1/prove HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        (job_id,) = until(lambda: taken_in(gateway)[len(before) :])
        until(lambda: rest.job(job_id).state is JobState.RUNNING)
    gate.open()
    assert [seen.state for seen in rest.watch(job_id)][-1] is JobState.SUCCEEDED
    assert "Traceback" not in gateway.log


def taken_in(gateway):
    return [line["job"] for line in gateway.lines() if line["event"] == "job taken in"]


def test_what_is_no_gateway_is_named(running):
    with (
        RestProverClient("http://127.0.0.1:9", KEY) as client,
        pytest.raises(errors.UnreachableError, match="running there"),
    ):
        client.circuits()
    with RestProverClient(running.url + "/wrong", KEY) as client, pytest.raises(errors.RefusedError, match="404"):
        client.circuits()
    for url in ("ftp://x", "prover.example", ""):
        with pytest.raises(errors.RefusedError, match="URL of a gateway"):
            RestProverClient(url, KEY)


class Socks5(socketserver.StreamRequestHandler):
    """RFC 1928 with names only; every name leads to the server's `target`, so only the proxy looked it up."""

    def handle(self):
        _, methods = self.rfile.read(2)
        self.rfile.read(methods)
        self.wfile.write(b"\x05\x00")
        version, command, _, kind = self.rfile.read(4)
        assert (version, command) == (5, 1)
        if kind != 3:
            self.server.asked.append(None)
            return
        name = self.rfile.read(self.rfile.read(1)[0]).decode()
        self.rfile.read(2)
        self.server.asked.append(name)
        with socket.create_connection(self.server.target) as upstream:
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            forward = threading.Thread(target=self.copy, args=(self.connection, upstream), daemon=True)
            forward.start()
            self.copy(upstream, self.connection)

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass


@pytest.fixture
def socks(running):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socks5) as server:
        server.daemon_threads = True
        host, port = running.listening("http_port").split(":")
        server.target, server.asked = (host, int(port)), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_everything_goes_through_a_socks_proxy_that_looks_names_up(socks):
    proxy = f"socks5h://127.0.0.1:{socks.server_address[1]}"
    with RestProverClient("http://prover.onion", KEY, proxy=proxy) as client:
        public, inputs = square()
        proof = client.prove("square", public, inputs).proof
        assert client.verify("square", public, proof)
        job = client.submit("square", *square(pause=100))
        assert list(client.watch(job.id))[-1].state is JobState.SUCCEEDED
    assert set(socks.asked) == {"prover.onion"}


def test_a_proxy_that_leaves_look_ups_to_this_machine_is_refused(socks):
    with pytest.raises(errors.RefusedError, match="socks5h"):
        RestProverClient("http://prover.onion", KEY, proxy=f"socks5://127.0.0.1:{socks.server_address[1]}")


def test_the_environment_changes_nothing(running, tmp_path):
    """Neither a proxy nor a password of ~/.netrc gets between client and gateway."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login mallory password hush\n")
    program = (
        "import sys; from proto.rest_client import RestProverClient\n"
        f"print(len(RestProverClient({running.url!r}, 'alice').circuits()))"
    )
    environment = {"HOME": str(tmp_path), "http_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "2", result.stderr
