"""Proofs by a real GPU: a thousand in batches, from many threads, in little memory, with a key that is streamed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import circuits
from bench.gpu.proofs import make_key
from prover.devices.choice import DeviceChoice
from prover.devices.opened import ProvingDevice
from prover.errors import DeviceOutOfMemory, DeviceUnavailable, InvalidProofError
from prover.formats.proof import Proof
from prover.groth16.cuda import DeviceProver
from prover.groth16.key_cuda import key_bases, key_shape
from prover.groth16.memory_cuda import plan_memory
from prover.limbs import from_limbs
from prover.progress import silent
from prover.witness.cpu import solve

_ROOT = Path(__file__).resolve().parents[2]
COUNT = 1000
STATEMENTS = 40


@pytest.fixture(scope="module")
def spend(owner):
    """The circuit, a key for it, statements and their witnesses."""
    circuit = circuits.build("spend")
    fresh = circuits.statements(circuit)
    statements = [fresh() for _ in range(STATEMENTS)]
    return circuit, make_key(owner, circuit, silent), statements, [solve(circuit, each)[0] for each in statements]


@pytest.fixture(scope="module")
def prover(owner, spend):
    circuit, zkey, _, _ = spend
    made = DeviceProver(owner, zkey, circuit=circuit)
    yield made
    made.close()


def assert_valid(prover: DeviceProver, witnesses, outcomes) -> None:
    """Verified again, all of them, one by one equation for each 100."""
    statements = []
    for witness, outcome in zip(witnesses, outcomes, strict=True):
        assert isinstance(outcome, Proof), outcome
        statements.append((from_limbs(witness[1 : prover.n_public + 1]), outcome))
    for start in range(0, len(statements), 100):
        assert prover.verifier.verify_batch(statements[start : start + 100])


def test_a_thousand_proofs_in_batches_are_all_valid_and_all_different(prover, spend):
    _, _, statements, witnesses = spend
    many = [place % STATEMENTS for place in range(COUNT)]
    proofs = prover.prove_many([witnesses[place] for place in many])
    assert_valid(prover, [witnesses[place] for place in many], proofs)
    assert len({proof.a for proof in proofs}) == COUNT
    assert_valid(
        prover,
        [witnesses[place] for place in many],
        prover.prove_statements([statements[place] for place in many]),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 31, 63, 64, 65, 130])
def test_batches_of_every_size_are_valid(prover, spend, count):
    witnesses = [spend[3][place % STATEMENTS] for place in range(count)]
    assert_valid(prover, witnesses, prover.prove_many(witnesses))


def test_many_threads_and_two_keys_share_the_gpu(owner, prover, spend):
    circuit = circuits.build("chain:20k")
    other = DeviceProver(owner, make_key(owner, circuit, silent))
    fresh = circuits.statements(circuit)
    other_witnesses = [solve(circuit, fresh())[0] for _ in range(5)]
    work = [(prover, spend[3][:20]), (other, other_witnesses)] * 4
    with ThreadPoolExecutor(len(work)) as threads:
        futures = [(each, witnesses, threads.submit(each.prove_many, witnesses)) for each, witnesses in work]
        for each, witnesses, future in futures:
            assert_valid(each, witnesses, future.result())
    other.close()


def test_bad_witnesses_are_named_in_a_full_batch(prover, spend):
    witnesses = [spend[3][place % STATEMENTS].copy() for place in range(64)]
    for place in (0, 17, 63):
        witnesses[place][-1, 0] ^= 1
    outcomes = prover.prove_many(witnesses)
    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, InvalidProofError)] == [0, 17, 63]
    good = [place for place in range(64) if place not in (0, 17, 63)]
    assert_valid(prover, [witnesses[place] for place in good], [outcomes[place] for place in good])


def limited(monkeypatch, budget: int) -> ProvingDevice:
    """The same GPU once more, with so many bytes to use."""
    from prover.kernels.cuda.cupy_device import CupyDevice

    monkeypatch.setenv("GELAP_DEVICE_MEMORY", str(budget))
    return ProvingDevice(DeviceChoice("cuda", "a test"), CupyDevice)


def test_less_memory_makes_batches_smaller_then_streams_the_key_and_proofs_stay_valid(spend, monkeypatch, owner):
    _, zkey, _, witnesses = spend
    shape = key_shape(zkey, key_bases(zkey))
    budget, seen = 1 << 30, set()
    while True:
        try:
            plan = plan_memory(shape, budget, owner.device.multiprocessors)
        except DeviceOutOfMemory:
            break
        state = (plan.batch, plan.streamed)
        if state not in seen:
            seen.add(state)
            # The pool's rounding needs a little more than the plan.
            with limited(monkeypatch, budget + (8 << 20)) as device:
                small = DeviceProver(device, zkey, batch=plan.batch)
                assert_valid(small, witnesses[:3], small.prove_many(witnesses[:3]))
        budget = budget * 3 // 4
    assert {streamed for _, streamed in seen} == {False, True}


def test_a_key_that_does_not_fit_is_a_clean_error_and_the_gpu_goes_on(spend, monkeypatch, prover):
    with limited(monkeypatch, 4 << 20) as device, pytest.raises(DeviceOutOfMemory, match="GELAP_DEVICE_MEMORY"):
        DeviceProver(device, spend[1])
    assert_valid(prover, spend[3][:1], prover.prove_many(spend[3][:1]))


def test_a_second_process_does_not_get_the_gpu(owner):
    code = "from prover.devices.opened import open_device; open_device('cuda')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert DeviceUnavailable.__name__ in result.stderr
    assert f"pid {os.getpid()}" in result.stderr
