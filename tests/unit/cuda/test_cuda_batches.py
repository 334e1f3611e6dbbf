"""Batches of proofs: verified before they leave, and made all the same when the device runs out of memory or fails."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from prover.errors import (
    DeviceError,
    DeviceLost,
    DeviceOutOfMemory,
    InvalidProofError,
    KeyMismatchError,
    UnsatisfiedError,
)
from prover.formats.proof import Proof
from prover.groth16.batches import BatchedProofs, check
from prover.groth16.prove import prove
from prover.groth16.verify import Verifier
from prover.limbs import from_limbs
from tests.unit.groth16 import samples

COUNT = 7


@pytest.fixture(scope="module")
def statements():
    witnesses = [samples.witness(a=number, x=number + 9) for number in range(COUNT)]
    return [(from_limbs(witness[1:4]), prove(samples.proving_key(), witness)) for witness in witnesses]


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return samples.proving_key().verifier


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as executor:
        yield executor


class CountingVerifier(Verifier):
    """Counts the equations it evaluates."""

    def __init__(self, key) -> None:
        super().__init__(key)
        self.equations = 0

    def verify(self, public_inputs, proof) -> bool:
        self.equations += 1
        return super().verify(public_inputs, proof)

    def verify_batch(self, statements) -> bool:
        self.equations += 1
        return super().verify_batch(statements)


class Device:
    """Makes the proof (n, 0) of job n; fails as its script says: batch number -> error."""

    def __init__(self, largest: int = 1000, failing: dict[int, Exception] | None = None) -> None:
        self.largest = largest
        self.failing = failing or {}
        self.batches: list[int] = []

    def make(self, batches, hand_over) -> None:
        for batch in batches:
            self.batches.append(len(batch))
            if len(batch) > self.largest:
                raise DeviceOutOfMemory("too many")
            if len(self.batches) in self.failing:
                raise self.failing[len(self.batches)]
            hand_over([proof_of(job) for job in batch])


def proof_of(job: int) -> Proof:
    return Proof(a=(job, 0), b=((0, 0), (0, 0)), c=(0, 0))


def accept(jobs, proofs):
    assert [proof.a[0] for proof in proofs] == list(jobs)
    return list(proofs)


@pytest.mark.parametrize("bad", [(), (0,), (3,), (6,), (0, 6), (2, 3, 4), tuple(range(COUNT))])
def test_the_bad_proofs_of_a_batch_are_named_and_the_good_ones_leave(statements, verifier, bad):
    mixed = [
        (public, replace(proof, c=statements[(place + 1) % COUNT][1].c) if place in bad else proof)
        for place, (public, proof) in enumerate(statements)
    ]
    outcomes = check(verifier, mixed)
    for place, outcome in enumerate(outcomes):
        if place in bad:
            assert isinstance(outcome, InvalidProofError)
        else:
            assert outcome is mixed[place][1]


def test_a_good_batch_costs_one_equation_and_a_bad_proof_few(statements):
    verifier = CountingVerifier(samples.proving_key().verification_key)
    assert len(check(verifier, statements)) == COUNT
    assert verifier.equations == 1
    verifier.equations = 0
    check(verifier, [(statements[1][0], statements[0][1]), *statements[1:]])
    assert verifier.equations <= 2 * COUNT.bit_length() + 1


def test_no_statements_have_no_outcomes(verifier):
    assert check(verifier, []) == []


def test_errors_of_the_caller_are_not_taken_for_bad_proofs(statements, verifier):
    with pytest.raises(KeyMismatchError):
        check(verifier, [([1], statements[0][1]), statements[1]])


@pytest.mark.parametrize(("jobs", "size", "batches"), [(7, 3, [3, 3, 1]), (4, 4, [4]), (1, 8, [1]), (0, 8, [])])
def test_jobs_are_proved_in_order_in_batches(pool, jobs, size, batches):
    device = Device()
    outcomes = BatchedProofs(size, device.make, accept, pool).prove(range(jobs))
    assert outcomes == [proof_of(job) for job in range(jobs)]
    assert device.batches == batches


def test_a_batch_that_does_not_fit_is_made_in_halves_and_the_size_is_kept(pool):
    device = Device(largest=3)
    batches = BatchedProofs(16, device.make, accept, pool)
    assert batches.prove(range(20)) == [proof_of(job) for job in range(20)]
    assert device.batches == [16, 8, 4, *[2] * 10]
    assert batches.size == 2
    device.batches.clear()
    batches.prove(range(4))
    assert device.batches == [2, 2]


def test_what_was_handed_over_before_a_failure_is_not_made_again(pool):
    device = Device(failing={2: DeviceOutOfMemory("a neighbour took it")})
    assert BatchedProofs(4, device.make, accept, pool).prove(range(8)) == [proof_of(job) for job in range(8)]
    assert device.batches == [4, 4, 2, 2]


def test_what_does_not_fit_alone_goes_to_the_fallback_or_is_an_error(pool):
    device = Device(largest=0)
    with_fallback = BatchedProofs(4, device.make, accept, pool, fallback=lambda job: proof_of(100 + job))
    assert with_fallback.prove(range(2)) == [proof_of(100), proof_of(101)]
    without = BatchedProofs(4, Device(largest=0).make, accept, pool).prove(range(2))
    assert [type(outcome) for outcome in without] == [DeviceOutOfMemory] * 2


@pytest.mark.parametrize("fallback", [True, False])
def test_a_lost_device_is_asked_no_more_and_good_proofs_leave(pool, fallback):
    device = Device(failing={2: DeviceLost("an illegal address")})
    batches = BatchedProofs(2, device.make, accept, pool, (lambda job: proof_of(100 + job)) if fallback else None)
    outcomes = batches.prove(range(5))
    assert outcomes[:2] == [proof_of(0), proof_of(1)]
    if fallback:
        assert outcomes[2:] == [proof_of(102), proof_of(103), proof_of(104)]
    else:
        assert [type(outcome) for outcome in outcomes[2:]] == [DeviceLost] * 3
    assert isinstance(batches.lost, DeviceLost)
    batches.prove([9])
    assert len(device.batches) == 2


def test_another_device_error_is_met_but_not_remembered(pool):
    device = Device(failing={1: DeviceError("a launch was refused")})
    batches = BatchedProofs(2, device.make, accept, pool)
    assert [type(outcome) for outcome in batches.prove([1])] == [DeviceError]
    assert batches.prove([1]) == [proof_of(1)]


def test_the_fallbacks_own_error_is_the_outcome_of_its_job_alone(pool):
    def fallback(job: int) -> Proof:
        if job == 1:
            raise UnsatisfiedError("no")
        return proof_of(job)

    outcomes = BatchedProofs(4, Device(largest=0).make, accept, pool, fallback).prove(range(3))
    assert [type(outcome) for outcome in outcomes] == [Proof, UnsatisfiedError, Proof]


def test_a_mistake_in_the_program_is_not_swallowed(pool):
    device = Device(failing={1: ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        BatchedProofs(2, device.make, accept, pool, fallback=proof_of).prove([1])
