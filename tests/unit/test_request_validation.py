"""A request that cannot be right is refused before anything is queued, with a message that says what is wrong."""

from pathlib import Path

import pytest

from gateway.tenants import api_key_of
from gateway.validation import MAX_SEALED_BYTES, job_id_of, prove_request, verify_request
from proto import prover_pb2 as messages
from protocol.field import R
from protocol.sealing import tenant_of
from protocol.statements import statement_hash
from worker.errors import (
    InvalidRequestError,
    StaleClusterKeyError,
    UnauthenticatedError,
    UnknownCircuitError,
    UnknownJobError,
    WrongVerificationKeyError,
)
from worker.jobs import FAKE_BYTE, Kind, Priority
from worker.manifest import CircuitEntry

DIGEST = bytes(range(32))
KEY = bytes(range(32, 64))
TENANT = tenant_of("a key")
CIRCUITS = {"pair": CircuitEntry("pair", Path("pair.zkey"), bytes(32), Path("pair.vkey.json"), DIGEST, 2, True)}


def word(value):
    return value.to_bytes(32, "big")


def proving(**changes):
    fields = {
        "circuit": "pair",
        "verification_key_digest": DIGEST,
        "public_inputs": [word(0), word(R - 1)],
        "sealed_inputs": sealed(),
        "idempotency_key": "x" * 128,
    }
    return messages.ProveRequest(**(fields | changes))


def sealed(**changes):
    fields = {"key_fingerprint": KEY, "encapsulated_key": bytes(32), "ciphertext": bytes(18)}
    return messages.SealedInputs(**(fields | changes))


def verifying(**changes):
    fields = {
        "circuit": "pair",
        "verification_key_digest": DIGEST,
        "public_inputs": [word(0), word(R - 1)],
        "proof": bytes(256),
    }
    return messages.VerifyRequest(**(fields | changes))


def check_proving(message):
    return prove_request(message, CIRCUITS, KEY, TENANT, 60.0)


def check_verifying(message):
    return verify_request(message, CIRCUITS, TENANT, 60.0)


def test_a_sound_request_becomes_a_job_of_its_statement_and_tenant():
    request = check_proving(proving())
    assert (request.kind, request.tenant, request.wait) == (Kind.PROVE, TENANT, 60.0)
    assert request.statement == statement_hash("pair", DIGEST, [0, R - 1])
    assert request.public_inputs == (word(0), word(R - 1))
    assert request.sealed.ciphertext == bytes(18)
    assert (request.key, request.priority) == (DIGEST, Priority.NORMAL)
    assert check_proving(proving(priority=messages.PRIORITY_BULK)).priority is Priority.BULK
    request = check_verifying(verifying())
    assert (request.kind, request.proof, request.sealed) == (Kind.VERIFY, bytes(256), None)


STATEMENTS = {
    "another circuit": ({"circuit": "other"}, UnknownCircuitError, "it has: pair"),
    "a name that is no name": ({"circuit": "x" * 10_000}, UnknownCircuitError, "it has: pair"),
    "no circuit": ({"circuit": ""}, UnknownCircuitError, "it has: pair"),
    "no digest": ({"verification_key_digest": b""}, InvalidRequestError, "32 bytes"),
    "another digest": ({"verification_key_digest": bytes(32)}, WrongVerificationKeyError, "GetCircuit"),
    "too few public inputs": ({"public_inputs": [word(1)]}, InvalidRequestError, "has 2 public inputs, got 1"),
    "too many public inputs": ({"public_inputs": [word(1)] * 3}, InvalidRequestError, "has 2 public inputs, got 3"),
    "a short word": ({"public_inputs": [word(1), bytes(31)]}, InvalidRequestError, "public input 1: .* 32 bytes"),
    "a long word": ({"public_inputs": [word(1), bytes(33)]}, InvalidRequestError, "public input 1: .* 32 bytes"),
    # The alias x + r of a public input x must not count as another statement (attack 2).
    "the modulus": ({"public_inputs": [word(R), word(1)]}, InvalidRequestError, "public input 0: .* below"),
    "an alias of 1": ({"public_inputs": [word(1), word(R + 1)]}, InvalidRequestError, "public input 1: .* below"),
    "all ones": ({"public_inputs": [b"\xff" * 32, word(1)]}, InvalidRequestError, "public input 0: .* below"),
}
SEALS = {
    "no inputs": ({"sealed_inputs": None}, InvalidRequestError, "sealed_inputs is missing"),
    "no key": ({"sealed_inputs": sealed(key_fingerprint=b"")}, InvalidRequestError, "SHA-256"),
    "another key": ({"sealed_inputs": sealed(key_fingerprint=bytes(32))}, StaleClusterKeyError, "seal them again"),
    "a short encapsulated key": ({"sealed_inputs": sealed(encapsulated_key=bytes(31))}, InvalidRequestError, "32"),
    "no ciphertext": ({"sealed_inputs": sealed(ciphertext=b"")}, InvalidRequestError, "between 18 and"),
    "less than a tag": ({"sealed_inputs": sealed(ciphertext=bytes(17))}, InvalidRequestError, "between 18 and"),
    "too much": ({"sealed_inputs": sealed(ciphertext=bytes(MAX_SEALED_BYTES + 1))}, InvalidRequestError, "between"),
    "a priority that is none": ({"priority": 7}, InvalidRequestError, "no priority 7"),
    "a long idempotency key": ({"idempotency_key": "x" * 129}, InvalidRequestError, "at most 128"),
}


@pytest.mark.parametrize(("changes", "error", "says"), (STATEMENTS | SEALS).values(), ids=STATEMENTS | SEALS)
def test_a_proving_request_is_refused_for(changes, error, says):
    with pytest.raises(error, match=says) as caught:
        check_proving(proving(**changes))
    assert len(str(caught.value)) < 200


NO_PROOFS = {
    "no proof": ({"proof": b""}, InvalidRequestError, "256 bytes, got 0"),
    "what a stand-in for a device made": ({"proof": bytes([FAKE_BYTE]) * 256}, InvalidRequestError, "no proof"),
    "a long proof": ({"proof": bytes(257)}, InvalidRequestError, "256 bytes, got 257"),
}


@pytest.mark.parametrize(("changes", "error", "says"), (STATEMENTS | NO_PROOFS).values(), ids=STATEMENTS | NO_PROOFS)
def test_a_verification_is_refused_for(changes, error, says):
    with pytest.raises(error, match=says):
        check_verifying(verifying(**changes))


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "../" + "0" * 29, "0" * 32 + "\n"])
def test_what_can_be_no_jobs_id_is_not_asked_for(text):
    with pytest.raises(UnknownJobError):
        job_id_of(text)


def test_a_jobs_id_is_asked_for():
    assert job_id_of("0123456789abcdef" * 2) == "0123456789abcdef" * 2


@pytest.mark.parametrize("header", ["Bearer key-1", "bearer key-1", "BEARER key-1"])
def test_a_bearer_key_is_read_from_its_header(header):
    assert api_key_of([header]) == "key-1"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["Bearer "],
        ["Bearer  key"],
        ["Basic key"],
        ["Bearer " + "k" * 257],
        ["Bearer k\x7fy"],
        ["Bearer kéy"],
        ["Bearer one", "Bearer two"],
        [b"Bearer key"],
    ],
)
def test_a_call_without_one_usable_key_has_no_tenant(headers):
    with pytest.raises(UnauthenticatedError):
        api_key_of(headers)
