"""What grpc raises, and what HTTP answers, becomes one of the client's errors, whatever the status."""

import json

import grpc
import pytest

from proto import errors
from proto.client import ProverClient


class RpcFailure(grpc.RpcError):
    """The part of a failed call that grpc documents."""

    def __init__(self, status, details="", metadata=()):
        self.status, self.text, self.metadata = status, details, metadata

    def code(self):
        return self.status

    def details(self):
        return self.text

    def trailing_metadata(self):
        return self.metadata


def test_every_status_but_ok_has_an_error():
    assert set(errors.BY_STATUS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_every_error_of_the_tree_is_reached_by_a_status_or_raised_by_the_client():
    kinds = set(errors.ProverClientError.__subclasses__())
    assert kinds == set(errors.BY_STATUS.values()) | {errors.PinnedKeyError}


def test_the_gateways_own_words_and_hints_are_kept():
    failure = RpcFailure(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the queue is full",
        (("gelap-error", "queue-full"), ("gelap-retry", "yes"), ("grpc-retry-pushback-ms", "1500")),
    )
    error = errors.from_rpc_error(failure, "host:1")
    assert isinstance(error, errors.BusyError)
    assert str(error) == "the queue is full"
    assert (error.name, error.retry, error.retry_after) == ("queue-full", True, 1.5)


def test_a_gateway_that_does_not_answer_is_said_to_be_missing():
    with (
        ProverClient("127.0.0.1:1", "key") as client,
        pytest.raises(errors.UnreachableError, match="gelap gateway") as caught,
    ):
        client.circuits()
    assert caught.value.retry


@pytest.mark.parametrize("api_key", ["", "with space", "ключ", "line\nbreak"])
def test_an_api_key_that_cannot_travel_is_refused(api_key):
    with pytest.raises(errors.UnauthenticatedError, match="printable ASCII"):
        ProverClient("127.0.0.1:1", api_key)


@pytest.mark.parametrize("pin", ["", "zz", "00" * 31])
def test_a_pin_that_is_no_fingerprint_is_refused(pin):
    with pytest.raises(errors.PinnedKeyError, match="64 hexadecimal digits"):
        ProverClient("127.0.0.1:1", "key", pin)


def test_a_problem_of_the_gateway_is_told_as_over_grpc():
    content = json.dumps(
        {
            "detail": "the queue is full",
            "name": "queue-full",
            "code": "RESOURCE_EXHAUSTED",
            "retry": True,
            "retry_after_ms": 1500,
            "job": "the job",
        }
    )
    error = errors.from_problem(429, content.encode(), "https://host")
    assert type(error) is errors.BusyError
    assert (str(error), error.name, error.retry, error.retry_after, error.job_id) == (
        "the queue is full",
        "queue-full",
        True,
        1.5,
        "the job",
    )


@pytest.mark.parametrize(
    ("status", "kind", "again"),
    [
        (302, errors.RefusedError, False),
        (401, errors.UnauthenticatedError, False),
        (404, errors.RefusedError, False),
        (407, errors.UnreachableError, True),
        (429, errors.BusyError, True),
        (500, errors.ProvingFailedError, False),
        (502, errors.UnreachableError, True),
        (504, errors.TimedOutError, True),
    ],
)
@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"code": "NO_SUCH_CODE"}', b"\xff", b"null"])
def test_what_something_between_answers_is_one_of_the_clients_errors_too(status, kind, again, content):
    error = errors.from_problem(status, content, "https://host")
    assert (type(error), error.retry) == (kind, again)
    assert str(status) in str(error)
