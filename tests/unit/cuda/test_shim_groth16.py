"""Whole proofs by the device's code: equal to the CPU's, in batches, under failures, from many threads."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bench import circuits
from bench.keys import known_tau_key
from protocol.field import R
from prover.devices.choice import DeviceChoice
from prover.devices.opened import ProvingDevice, open_device
from prover.engine import Engine
from prover.errors import (
    DeviceLost,
    DeviceOutOfMemory,
    InputError,
    InvalidProofError,
    KeyMismatchError,
    UnsatisfiedError,
)
from prover.formats.proof import Proof
from prover.formats.zkey import write_zkey
from prover.groth16 import cuda
from prover.groth16 import prove as cpu
from prover.groth16.cuda import DeviceProver
from prover.groth16.prove import ProvingKey, prove
from prover.kernels.cuda.shim_device import ShimDevice
from prover.limbs import from_limbs, to_limbs
from prover.witness.cpu import solve
from tests.unit.groth16 import samples

CHOICE = DeviceChoice("shim", "a test")


class FailingDevice(ShimDevice):
    """A device whose launches fail as long as `failure` says so."""

    failure: Exception | None = None
    launches = 0

    def launch(self, *args, **kwargs) -> None:
        self.launches += 1
        if self.failure is not None:
            raise self.failure
        super().launch(*args, **kwargs)


@pytest.fixture(scope="module")
def owner():
    with ProvingDevice(CHOICE, ShimDevice) as device:
        yield device


@pytest.fixture(scope="module")
def prover(owner):
    return DeviceProver(owner, samples.zkey(), batch=4)


@pytest.fixture
def failing():
    with ProvingDevice(CHOICE, FailingDevice) as device:
        yield device


def witnesses(count: int) -> list[np.ndarray]:
    return [samples.witness(a=number, x=number + 1) for number in range(count)]


def assert_valid(key, proved: list[np.ndarray], outcomes) -> None:
    assert key.verifier.verify_batch(
        [(from_limbs(witness[1 : key.n_public + 1]), proof) for witness, proof in zip(proved, outcomes, strict=True)]
    )


def with_blindings(monkeypatch, blindings: list[int]) -> None:
    """Let the CPU prover draw these numbers, r before s."""
    drawn = iter(blindings)
    monkeypatch.setattr(cpu.secrets, "randbelow", lambda limit: next(drawn))


def test_a_proof_is_point_for_point_the_cpus_with_the_same_blinding(owner, prover, monkeypatch):
    r, s = secrets.randbelow(R), secrets.randbelow(R)
    monkeypatch.setattr(prover, "blinding", lambda: (r, s))
    proof = prover.prove(samples.witness())
    with_blindings(monkeypatch, [r, s])
    assert proof == prove(samples.proving_key(), samples.witness())


def test_so_is_every_proof_of_a_batch_of_hashing_circuits(owner, monkeypatch):
    circuit = circuits.build("chain:480")
    zkey, fresh = known_tau_key(circuit.r1cs), circuits.statements(circuit)
    many = [solve(circuit, fresh())[0] for _ in range(3)]
    blindings = [(secrets.randbelow(R), secrets.randbelow(R)) for _ in many]
    drawn = iter(blindings)
    prover = DeviceProver(owner, zkey, batch=4)
    monkeypatch.setattr(prover, "blinding", lambda: next(drawn))
    proofs = prover.prove_many(many)
    prover.close()
    with_blindings(monkeypatch, [number for pair in blindings for number in pair])
    key = ProvingKey.from_zkey(zkey)
    assert proofs == [prove(key, witness) for witness in many]


@pytest.mark.parametrize("blinding", [(0, 0), (0, 1), (R - 1, R - 1)])
def test_blindings_at_the_edges_are_proved_too(prover, monkeypatch, blinding):
    monkeypatch.setattr(prover, "blinding", lambda: blinding)
    proof = prover.prove(samples.witness())
    with_blindings(monkeypatch, list(blinding))
    assert proof == prove(samples.proving_key(), samples.witness())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 21])
def test_any_number_of_witnesses_is_proved_in_order(prover, count):
    many = witnesses(count)
    assert_valid(prover, many, prover.prove_many(many))


def test_no_witnesses_have_no_proofs(prover):
    assert prover.prove_many([]) == []


def test_no_two_proofs_are_alike(prover):
    proofs = prover.prove_many([samples.witness()] * 8)
    assert len({proof.a for proof in proofs}) == len({proof.c for proof in proofs}) == 8


def test_false_witnesses_are_named_and_true_ones_leave(prover):
    many = witnesses(7)
    many[2] = samples.witness(d=2)
    many[6] = samples.witness(d=3)
    outcomes = prover.prove_many(many)
    bad = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, InvalidProofError)]
    assert bad == [2, 6]
    good = [place for place in range(7) if place not in bad]
    assert_valid(prover, [many[place] for place in good], [outcomes[place] for place in good])
    with pytest.raises(InvalidProofError):
        prover.prove(many[2])


def test_what_is_no_witness_of_the_circuit_is_refused_and_the_others_are_proved(prover):
    changed = samples.witness()
    changed[0] = 0
    too_large = samples.witness()
    too_large[4] = to_limbs([R])[0]
    many = [samples.witness()[:-1], changed, too_large, samples.witness().astype(np.int64), samples.witness()]
    outcomes = prover.prove_many(many)
    assert [type(outcome) for outcome in outcomes[:4]] == [KeyMismatchError] * 4
    assert_valid(prover, many[4:], outcomes[4:])


def test_many_threads_share_a_prover_and_several_provers_a_device(owner, prover):
    other = DeviceProver(owner, samples.zkey(), batch=2)
    many = witnesses(6)
    with ThreadPoolExecutor(6) as threads:
        futures = [threads.submit((prover, other)[turn % 2].prove_many, many) for turn in range(6)]
        for future in futures:
            assert_valid(prover, many, future.result())
    other.close()


def test_launches_are_captured_once_and_replayed(monkeypatch):
    with ProvingDevice(CHOICE, FailingDevice) as owner:
        prover = DeviceProver(owner, samples.zkey(), batch=2)
        captures = []
        monkeypatch.setattr(
            owner.device, "capture", lambda fn: captures.append(fn) or ShimDevice.capture(owner.device, fn)
        )
        assert_valid(prover, witnesses(12), prover.prove_many(witnesses(12)))
        # Two slots of one size.
        assert len(captures) == 2


def test_a_key_and_its_batches_need_no_more_memory_than_was_planned(owner):
    used_before = owner.budget.used
    free_before = owner.device.memory()[0]
    prover = DeviceProver(owner, samples.zkey(), batch=8)
    assert owner.budget.used - used_before == prover.plan.total
    prover.prove_many(witnesses(9))
    assert 0 < free_before - owner.device.memory()[0] <= prover.plan.total
    prover.close()
    assert owner.budget.used == used_before


def test_memory_comes_back_when_a_prover_is_closed(owner):
    free_before = owner.device.memory()[0]
    prover = DeviceProver(owner, samples.zkey(), batch=2)
    prover.prove_many(witnesses(1))
    prover.close()
    assert owner.device.memory()[0] == free_before


def test_a_small_budget_makes_batches_smaller_and_proofs_no_worse(monkeypatch):
    monkeypatch.setenv("GELAP_DEVICE_MEMORY", "2500KiB")
    with ProvingDevice(CHOICE, ShimDevice) as owner:
        prover = DeviceProver(owner, samples.zkey(), batch=64)
        assert prover.batch < 64
        assert_valid(prover, witnesses(9), prover.prove_many(witnesses(9)))


def test_a_key_that_does_not_fit_is_refused_with_the_numbers(monkeypatch):
    monkeypatch.setenv("GELAP_DEVICE_MEMORY", "64KiB")
    with (
        ProvingDevice(CHOICE, ShimDevice) as owner,
        pytest.raises(DeviceOutOfMemory, match=r"9 wires.*GELAP_DEVICE_MEMORY, or prove on the CPU"),
    ):
        DeviceProver(owner, samples.zkey())
    assert owner.budget.used == 0


def test_memory_that_somebody_took_meanwhile_makes_the_batch_smaller(monkeypatch):
    with ProvingDevice(CHOICE, ShimDevice) as owner:
        real = cuda._upload

        def upload(device, zkey, bases, plan):
            if plan.batch > 4:
                raise DeviceOutOfMemory("an array does not fit")
            return real(device, zkey, bases, plan)

        monkeypatch.setattr(cuda, "_upload", upload)
        prover = DeviceProver(owner, samples.zkey(), batch=16)
        assert prover.batch == 4
        assert owner.budget.used == prover.plan.total
        prover.prove(samples.witness())


def test_a_device_that_is_full_is_given_half_the_batch(failing, monkeypatch):
    prover = DeviceProver(failing, samples.zkey(), batch=8)
    begin = prover._on_device.begin

    def full_above_two(batch, blindings):
        if len(batch) > 2:
            raise DeviceOutOfMemory("a launch needs more local memory")
        return begin(batch, blindings)

    monkeypatch.setattr(prover._on_device, "begin", full_above_two)
    assert_valid(prover, witnesses(9), prover.prove_many(witnesses(9)))
    assert prover.batch == 2


@pytest.mark.parametrize("fallback", [True, False])
def test_a_lost_device_is_left_to_the_fallback_or_is_an_error(failing, fallback):
    on_cpu = (lambda witness: prove(samples.proving_key(), witness)) if fallback else None
    prover = DeviceProver(failing, samples.zkey(), on_cpu, batch=2)
    assert_valid(prover, witnesses(3), prover.prove_many(witnesses(3)))
    failing.device.failure = DeviceLost("an illegal address was met; start the process again")
    outcomes = prover.prove_many(witnesses(3))
    launches = failing.device.launches
    if fallback:
        assert_valid(prover, witnesses(3), outcomes)
    else:
        assert [type(outcome) for outcome in outcomes] == [DeviceLost] * 3
    prover.prove_many(witnesses(2))
    assert failing.device.launches == launches


def test_a_closed_prover_leaves_everything_to_the_fallback(failing):
    prover = DeviceProver(failing, samples.zkey(), lambda witness: prove(samples.proving_key(), witness), batch=2)
    prover.close()
    assert_valid(prover, witnesses(1), prover.prove_many(witnesses(1)))


@pytest.fixture(scope="module")
def product_zkey(tmp_path_factory):
    circuit = samples.product_circuit()
    zkey = known_tau_key(circuit.r1cs)
    path = tmp_path_factory.mktemp("keys") / "product.zkey"
    write_zkey(path, zkey)
    return circuit, zkey, path


@pytest.fixture
def engine(owner, product_zkey):
    circuit, zkey, _ = product_zkey
    key = ProvingKey.from_zkey(zkey)
    prover = DeviceProver(owner, zkey, lambda witness: prove(key, witness), batch=4, circuit=circuit)
    yield Engine(circuit, prover)
    prover.close()


def test_an_engine_on_a_device_proves_as_on_the_cpu(engine):
    engine.warm_up()
    phases: list[str] = []
    witness = engine.solve({"result": 35, "left": 5, "right": 7})
    assert engine.verify([35], engine.prove(witness, phases.append))
    assert phases == ["device"]
    assert engine.batch == 4


def test_an_engine_proves_many_and_tells_each_what_is_wrong_with_it(engine):
    good = engine.solve({"result": 35, "left": 5, "right": 7})
    bad = good.copy()
    bad[2, 0] ^= np.uint64(1)
    outcomes = engine.prove_many([good, bad, good])
    assert isinstance(outcomes[1], UnsatisfiedError)
    assert engine.verify([35], outcomes[0])
    assert engine.verify([35], outcomes[2])


def test_a_wrong_proof_of_a_true_witness_is_made_again_on_the_cpu(engine, monkeypatch):
    real = cuda.unpack_proofs
    monkeypatch.setattr(cuda, "unpack_proofs", lambda points: real(np.roll(points, 8, axis=1)))
    witness = engine.solve({"result": 35, "left": 5, "right": 7})
    assert engine.verify([35], engine.prove(witness))


def product(result: int, left: int, right: int) -> dict[str, int]:
    return {"result": result, "left": left, "right": right}


def test_statements_are_proved_with_witnesses_that_the_device_computes(owner, product_zkey):
    circuit, zkey, _ = product_zkey
    prover = DeviceProver(owner, zkey, batch=4, circuit=circuit)
    statements = [product(left * 3, left, 3) for left in range(1, 12)]
    outcomes = prover.prove_statements(statements)
    assert prover.verifier.verify_batch(
        [([statement["result"]], proof) for statement, proof in zip(statements, outcomes, strict=True)]
    )
    used = owner.budget.used
    prover.close()
    assert used - owner.budget.used > prover.plan.total


def test_what_is_wrong_with_a_statement_is_told_in_its_place(owner, product_zkey):
    circuit, zkey, _ = product_zkey
    prover = DeviceProver(owner, zkey, batch=8, circuit=circuit)
    outcomes = prover.prove_statements(
        [product(36, 5, 7), product(35, 5, 7), product(35, 5, R), {"result": 1}, product(0, 0, 7)]
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [UnsatisfiedError, Proof, InputError, InputError, UnsatisfiedError]
    assert str(outcomes[0]).startswith("product: the inputs cannot be proved; false at")
    assert prover.verifier.verify([35], outcomes[1])
    prover.close()


@pytest.mark.parametrize("fallback", [True, False])
def test_statements_go_to_the_cpu_when_the_device_is_lost(failing, product_zkey, fallback):
    circuit, zkey, _ = product_zkey
    key = ProvingKey.from_zkey(zkey)
    on_cpu = (lambda witness: prove(key, witness)) if fallback else None
    prover = DeviceProver(failing, zkey, on_cpu, batch=2, circuit=circuit)
    failing.device.failure = DeviceLost("gone")
    outcomes = prover.prove_statements([product(35, 5, 7), product(36, 5, 7)])
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == ([Proof, UnsatisfiedError] if fallback else [DeviceLost, DeviceLost])
    assert isinstance(prover.lost, DeviceLost)


def test_an_engine_proves_statements_on_either_side(engine, product_zkey):
    circuit, zkey, _ = product_zkey
    on_cpu = Engine(circuit, ProvingKey.from_zkey(zkey))
    for each in (engine, on_cpu):
        proof, error = each.prove_statements([product(35, 5, 7), product(36, 5, 7)])
        assert each.verify([35], proof)
        assert isinstance(error, UnsatisfiedError)


def test_an_engine_on_the_cpu_proves_many_too(product_zkey):
    circuit, zkey, _ = product_zkey
    engine = Engine(circuit, ProvingKey.from_zkey(zkey))
    good = engine.solve({"result": 35, "left": 5, "right": 7})
    bad = good.copy()
    bad[2, 0] ^= np.uint64(1)
    proof, error = engine.prove_many([good, bad])
    assert engine.verify([35], proof)
    assert isinstance(error, UnsatisfiedError)
    assert engine.batch == 1


@pytest.mark.slow
def test_a_real_spend_is_proved_by_the_devices_code(monkeypatch):
    # Few tables: making them takes the shim longer than a proof without.
    monkeypatch.setenv("GELAP_DEVICE_MEMORY", "44MiB")
    circuit = circuits.build("spend")
    witness = solve(circuit, circuits.statements(circuit)())[0]
    choice, owner = open_device("shim")
    assert (choice.kind, choice.name) == ("shim", "shim")
    with owner:
        prover = DeviceProver(owner, known_tau_key(circuit.r1cs), batch=1)
        assert_valid(prover, [witness], [prover.prove(witness)])
