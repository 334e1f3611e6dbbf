"""`gelap demo`, run as a user runs it: a process of its own, on real servers, with real proofs."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.npm import snarkjs

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.timeout(1500)]
# It takes half a minute on two quiet cores, and two more where there are no keys and kernels yet.
SECONDS = 1200


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gelap.cli", "demo", "--json", "--save", str(folder), "--logs", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    result.folder = folder
    return result


@pytest.fixture(scope="module")
def document(run):
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout)


def test_the_demo_settles_a_private_payment_and_every_view_agrees(document):
    assert document["ok"] is True
    assert document["error"] is None
    assert len(document["checks"]) >= 10
    assert all(check["ok"] for check in document["checks"])
    seen = {(view["party"], view["sees"]): view["amount"] for view in document["balances"]}
    assert seen["wallet 1", "its own spendable balance"] == 60
    assert seen["wallet 2", "its own spendable balance"] == 25
    assert seen["anyone", "tokens at the fresh address"] == 15


def test_stdout_is_one_json_document_and_progress_goes_to_stderr(run, document):
    assert run.stdout.lstrip().startswith("{")
    assert "wallet 1 deposits 100" in run.stderr
    assert document["development_only"] is True


def test_steps_carry_their_gas_and_proof_times(document):
    steps = {step["name"]: step for step in document["steps"]}
    payment = steps["wallet 1 pays wallet 2 40 privately"]
    assert payment["proof_seconds"] > 0
    assert 0 < payment["gas"] <= 400_000
    assert steps["wallet 1 deposits 100"]["gas"] <= 150_000


def test_the_same_statement_of_the_same_caller_comes_from_the_proof_cache(document):
    steps = {step["name"]: step for step in document["steps"]}
    assert steps["the same statement again"]["cached"] is True
    assert steps["wallet 1 pays wallet 2 40 privately"]["cached"] is False


def test_snarkjs_accepts_the_payments_proof(run, document):
    files = [str(run.folder / name) for name in ("verification_key.json", "public.json", "proof.json")]
    assert "OK" in snarkjs("groth16", "verify", *files, cwd=run.folder).stdout


def test_the_logs_hold_no_traceback(run, document):
    for name in ("gateway.log", "worker.log"):
        text = (run.folder / name).read_text()
        assert text
        assert "Traceback" not in text


def test_gateway_and_worker_are_gone_when_the_demo_has_ended(run, document):
    """Whoever has their port now is somebody else: they are known by the logs that they write."""
    logs = {_identity(run.folder / name) for name in ("gateway.log", "worker.log")}
    assert not logs & set(_open_files())


def _open_files() -> Iterator[tuple[int, int]]:
    """Those of all processes that we may look at, where the system shows them in /proc."""
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            yield _identity(opened)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
