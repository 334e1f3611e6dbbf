"""Verification under a key that was checked before: of one proof, and of batches."""

from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from bench import circuits
from bench.errors import WrongResultError
from bench.proving import key_directory
from bench.result import Result
from bench.timing import timed_runs
from protocol.field import R
from prover.formats.proof import Proof, read_proof, read_public
from prover.formats.verification_key import read_verification_key
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.verify import Verifier
from prover.keys import ensure_circuit_keys
from prover.limbs import from_limbs
from prover.progress import Reporter
from prover.witness.cpu import solve

# Different proofs of one circuit; larger batches repeat them, which saves the verifier nothing.
_PROOFS = 8

Statement = tuple[list[int], Proof]


def measure(names: list[str], sizes: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Each circuit: one proof by `verify`, and batches of each size by `verify_batch`. Forgeries must be refused."""
    results = []
    for done, name in enumerate(names):
        progress(f"{name}: making proofs", done, len(names))
        circuit = circuits.build(name)
        manifest = ensure_circuit_keys(key_directory(), {circuit.name: circuit.r1cs}, progress)
        key = ProvingKey.load(manifest.zkey_path(circuit.name))
        fresh = circuits.statements(circuit)
        statements = []
        for _ in range(_PROOFS):
            witness = solve(circuit, fresh())[0]
            statements.append((from_limbs(witness[1 : key.n_public + 1]), prove(key, witness)))
        progress(f"{name}: verifying", done, len(names))
        verifier = Verifier(key.verification_key)
        _refuses_forgeries(verifier, statements)
        case = {"circuit": circuit.name}
        details = {"public_inputs": key.n_public}
        results.append(Result("verify_one", 1, "proofs", _one(verifier, statements, runs), case, details))
        for size in sizes:
            seconds = _batches(verifier, statements, size, runs)
            results.append(Result("verify_batch", size, "proofs", seconds, case, details))
    return results


def _one(verifier: Verifier, statements: list[Statement], runs: int) -> list[float]:
    turns = cycle(statements)
    return timed_runs(lambda: next(turns), lambda turn: verifier.verify(*turn), lambda _, valid: valid, runs)


def _batches(verifier: Verifier, statements: list[Statement], size: int, runs: int) -> list[float]:
    turns = cycle(statements)
    return timed_runs(lambda: list(islice(turns, size)), verifier.verify_batch, lambda _, valid: valid, runs)


def _refuses_forgeries(verifier: Verifier, statements: list[Statement]) -> None:
    """Exchanged or changed public inputs, and a mixture of two proofs, alone and at the end of a batch."""
    (public, proof), (_, other) = statements[:2]
    forgeries = [
        ([(public[0] + 1) % R, *public[1:]], proof),
        (public, other),
        (public, replace(proof, c=other.c)),
    ]
    if any(verifier.verify(*forgery) or verifier.verify_batch([*statements, forgery]) for forgery in forgeries):
        raise WrongResultError("the verifier accepted a forged proof; run the tests of the prover")


def check(vkey: str, proofs: list[dict[str, str]], progress: Reporter) -> None:
    """Verify proofs in files, {"proof": path, "public": path} each. Raises WrongResultError when one is not valid."""
    verifier = Verifier(read_verification_key(vkey))
    for done, files in enumerate(proofs):
        progress("verifying the proofs", done, len(proofs))
        if not verifier.verify(read_public(files["public"]), read_proof(files["proof"])):
            raise WrongResultError(f"{Path(files['proof']).name} does not verify, so its time means nothing")
