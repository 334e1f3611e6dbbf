"""Whatever goes wrong in the cluster has a name, a status, and a word on whether to try again."""

import json
import re
import subprocess
import sys

import grpc
import pytest

from gateway.status import STATUS, metadata_of
from proto.errors import BY_STATUS, from_rpc_error
from protocol.errors import EncodingError, ProtocolError, SealingError
from prover.errors import InputError, ProverError, UnsatisfiedError
from worker import errors
from worker.failures import MEANINGS, failure_of

KINDS = errors.ClusterError.__subclasses__()


def test_the_table_of_statuses_is_complete():
    assert set(STATUS) == set(KINDS)


def test_every_error_has_a_name_of_its_own_and_says_something():
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    for kind in KINDS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.name)
        assert len(str(kind())) > 15
        assert errors.by_name(kind.name) is kind
        assert kind.__name__ in errors.__doc__


def test_only_the_callers_mistakes_are_not_worth_a_retry():
    final = {kind for kind, status in STATUS.items() if not status.retry}
    own_mistakes = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert {kind for kind in final if STATUS[kind].code in own_mistakes} == {errors.WorkerLostError}


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_gets_back_what_the_gateway_meant(kind):
    class Failure(grpc.RpcError):
        def code(self):
            return STATUS[kind].code

        def details(self):
            return "the message"

        def trailing_metadata(self):
            return metadata_of(kind(), "the job")

    error = from_rpc_error(Failure(), "host:1")
    assert type(error) is BY_STATUS[STATUS[kind].code]
    assert (str(error), error.name, error.retry, error.job_id) == (
        "the message",
        kind.name,
        STATUS[kind].retry,
        "the job",
    )
    assert (error.retry_after is not None) == (STATUS[kind].pushback_ms is not None)


def test_every_error_of_the_prover_has_a_meaning_for_a_job():
    tree = {kind for kind in ProverError.__subclasses__() if kind.__module__ == "prover.errors"}
    assert tree | {ProverError} <= set(MEANINGS)


def test_a_base_does_not_stand_before_its_kinds():
    kinds = list(MEANINGS)
    for place, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[place + 1 :])


def test_every_error_of_the_protocol_that_a_worker_can_meet_has_one():
    met = {SealingError, EncodingError}
    assert met <= set(MEANINGS)
    assert met <= set(ProtocolError.__subclasses__())


@pytest.mark.parametrize(
    ("error", "kind", "again", "says"),
    [
        (InputError("the input root is missing"), errors.InvalidInputsError, False, "root is missing"),
        (UnsatisfiedError("constraint 7 fails"), errors.UnsatisfiedInputsError, False, "constraint 7"),
        (SealingError("..."), errors.SealBrokenError, False, "seal them"),
        (errors.StatementMismatchError(), errors.StatementMismatchError, False, "other public inputs"),
        (errors.ProvingFailedError("no key here"), errors.ProvingFailedError, True, "no key here"),
        (MemoryError(), errors.ProvingFailedError, True, "try again"),
        (ValueError("the value 42 is secret"), errors.InternalError, True, "report it"),
    ],
)
def test_an_exception_becomes_the_jobs_error(error, kind, again, says):
    failure = failure_of(error)
    assert type(failure.error) is kind
    assert failure.again is again
    assert says in str(failure.error)
    assert "42" not in str(failure.error)


def test_a_log_line_is_json_and_a_traceback_shows_no_local_variable():
    program = """
import logging, warnings, structlog
from gelap.logs import configure_logs, where
configure_logs()
def prove():
    witness = "the witness"
    raise ValueError("no proof")
try:
    prove()
except ValueError as error:
    structlog.get_logger("ours").exception("ours failed", job=1)
    structlog.get_logger("ours").error("ours failed quietly", where=where(error))
    logging.getLogger("theirs").exception("theirs %s", "failed")
warnings.warn("careful")
structlog.get_logger("ours").debug("too much")
logging.getLogger("celery.worker").info("too much")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in lines[:3]] == ["ours failed", "ours failed quietly", "theirs failed"]
    assert "careful" in lines[3]["event"]
    assert len(lines) == 4
    assert list(lines[0])[:4] == ["timestamp", "level", "logger", "event"]
    assert lines[0]["exception"][0]["exc_type"] == "ValueError"
    assert lines[1]["where"][-1].endswith("prove")
    assert "the witness" not in result.stderr
    assert result.stdout == ""
