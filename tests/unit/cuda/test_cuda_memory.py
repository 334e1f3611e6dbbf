"""Memory planned before any is taken: what a key and a batch need, and what gives way when it is too little."""

import numpy as np
import pytest

from bench import circuits
from bench.keys import known_tau_key
from prover.devices.choice import DeviceChoice
from prover.devices.opened import ProvingDevice
from prover.errors import DeviceOutOfMemory
from prover.groth16.cuda import DeviceProver
from prover.groth16.key_cuda import DeviceKey, key_bases, key_shape
from prover.groth16.memory_cuda import MOST_PROOFS, KeyShape, MemoryPlan, plan_memory
from prover.groth16.quotient_cuda import DeviceQuotient
from prover.groth16.statements_cuda import DeviceStatements
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs
from prover.witness.cpu import solve

GIB = 1 << 30
H100 = 132


def chain_shape(constraints: int) -> KeyShape:
    """As a Poseidon chain's: wires and points in the measured proportions."""
    domain = 1 << constraints.bit_length()
    b_points = constraints * 2 // 3
    return KeyShape(
        n_vars=constraints,
        n_public=1,
        domain=domain,
        entries=2 * constraints,
        points={"a": constraints, "b1": b_points, "b2": b_points, "c": constraints + domain},
    )


SPEND = KeyShape(22_940, 9, 1 << 15, 50_828, {"a": 22_115, "b1": 14_735, "b2": 14_735, "c": 55_700})


@pytest.fixture(scope="module")
def chain():
    circuit = circuits.build("chain:480")
    zkey = known_tau_key(circuit.r1cs)
    bases = key_bases(zkey)
    return circuit, zkey, bases, key_shape(zkey, bases)


def test_an_h100_proves_spends_by_the_batch_and_keeps_three_million_constraints_resident():
    spend = plan_memory(SPEND, 70 * GIB, H100)
    assert (spend.batch, spend.streamed) == (MOST_PROOFS, False)
    assert spend.total < 8 * GIB
    largest = plan_memory(chain_shape(3_200_000), 70 * GIB, H100)
    assert (largest.batch, largest.streamed) == (1, False)
    assert largest.total < 40 * GIB


@pytest.mark.parametrize("shape", [SPEND, chain_shape(250_000)])
def test_less_memory_means_smaller_batches_then_streaming_then_a_clear_refusal(shape):
    sizes = [16 * GIB * 2**step // 3**step for step in range(24)]
    plans = [planned(shape, available) for available in sizes]
    made = [plan for plan in plans if plan is not None]
    assert plans[len(made) :] == [None] * (len(plans) - len(made))
    assert all(plan.total <= available for plan, available in zip(made, sizes, strict=False))
    states = [(plan.streamed, -plan.batch) for plan in made]
    assert states == sorted(states)
    assert {streamed for streamed, _ in states} == {False, True}
    with pytest.raises(DeviceOutOfMemory, match=f"{shape.n_vars:,} wires"):
        plan_memory(shape, sizes[-1], H100)


def planned(shape: KeyShape, available: int) -> MemoryPlan | None:
    try:
        return plan_memory(shape, available, H100)
    except DeviceOutOfMemory:
        return None


def test_a_plan_keeps_to_the_batch_that_was_asked_for():
    assert plan_memory(SPEND, 70 * GIB, H100, batch=5).batch == 5
    assert plan_memory(SPEND, 70 * GIB, H100, batch=200).batch == 200


def test_tables_keep_to_their_shares_and_the_workspace_to_its(chain):
    plan = plan_memory(SPEND, 2 * GIB, H100)
    for name, part in plan.sums.items():
        assert part.table_bytes <= plan.tables[name]
        assert part.workspace_bytes <= plan.workspace
    assert sum(plan.tables.values()) + plan.workspace <= 2 * GIB


def test_points_at_infinity_are_not_planned_for(chain):
    _, _, bases, shape = chain
    for name, points in bases.items():
        assert shape.points[name] == sum(map(bool, points.any(axis=1)))
    assert shape.points["b1"] < len(bases["b1"])


@pytest.mark.parametrize("name", ["chain:240", "chain:2k", "chain:5k"])
def test_the_estimate_of_what_stays_is_an_upper_bound_and_not_far_off(name):
    circuit = circuits.build(name)
    zkey = known_tau_key(circuit.r1cs)
    bases = key_bases(zkey)
    quotient = DeviceQuotient(ShimDevice(), zkey.a, zkey.b, zkey.n_vars)
    estimate = key_shape(zkey, bases).key_bytes
    assert quotient.nbytes <= estimate <= 1.6 * quotient.nbytes + (2 << 20)


@pytest.mark.slow
def test_uploading_a_key_never_takes_more_than_was_planned(chain):
    _, zkey, bases, shape = chain
    plan = plan_memory(shape, GIB, 2, batch=4)
    peak = 0

    class Watched(ShimDevice):
        def _allocate(self, *args):
            nonlocal peak
            array = super()._allocate(*args)
            peak = max(peak, self._used)
            return array

    key = DeviceKey.upload(Watched(), zkey, bases, plan)
    assert key.nbytes <= peak <= plan.total


@pytest.mark.slow
def test_a_key_that_is_streamed_proves_what_a_resident_one_does(chain, monkeypatch):
    circuit, zkey, _, shape = chain
    fresh = circuits.statements(circuit)
    witnesses = [solve(circuit, fresh())[0] for _ in range(2)]
    available = 4 << 20
    while not plan_memory(shape, available, 2, batch=1).streamed:
        available -= 32 << 10
    monkeypatch.setenv("GELAP_DEVICE_MEMORY", str(available))
    with ProvingDevice(DeviceChoice("shim", "a test"), ShimDevice) as owner:
        prover = DeviceProver(owner, zkey, batch=1)
        assert prover.plan.streamed
        statements = [
            (from_limbs(witness[1:2]), proof)
            for witness, proof in zip(witnesses, prover.prove_many(witnesses), strict=True)
        ]
        assert prover.verifier.verify_batch(statements)


@pytest.mark.parametrize("batch", [1, 4])
def test_what_computing_witnesses_needs_is_an_upper_bound_too(chain, batch):
    device = ShimDevice()
    free = device.memory()[0]
    statements = DeviceStatements(device, chain[0], batch, 2)
    taken = free - device.memory()[0]
    assert 0 < taken <= DeviceStatements.bytes_needed(chain[0], batch) < 6 * taken + (1 << 20)
    assert statements.outcomes(np.zeros((2, batch), np.uint32)) == [None] * batch


def test_the_first_bases_hold_the_constant_terms(chain):
    _, zkey, bases, _ = chain
    assert np.array_equal(bases["a"][0], zkey.delta_g1)
    assert np.array_equal(bases["b2"][-1], zkey.delta_g2)
    assert not bases["c"][len(zkey.points_c)].any()
