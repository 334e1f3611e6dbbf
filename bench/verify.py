"""Verification of one proof at a time, under a key that was checked before."""

from dataclasses import replace
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

# Valid proofs and forgeries that the verifier must tell apart before and while it is timed.
_PROOFS = 2


def measure(names: list[str], runs: int, progress: Reporter) -> list[Result]:
    """A valid proof of each circuit; size is the number of public inputs. Forgeries must be refused."""
    results = []
    for done, name in enumerate(names):
        progress(f"{name}: making proofs", done, len(names))
        circuit = circuits.build(name)
        manifest = ensure_circuit_keys(key_directory(), {circuit.name: circuit.r1cs}, progress)
        key = ProvingKey.load(manifest.zkey_path(circuit.name))
        fresh = circuits.statements(circuit)
        cases = []
        for _ in range(_PROOFS):
            witness = solve(circuit, fresh())[0]
            cases.append((from_limbs(witness[1 : key.n_public + 1]), prove(key, witness)))
        progress(f"{name}: verifying", done, len(names))
        verifier = Verifier(key.verification_key)
        _refuses_forgeries(verifier, cases)
        turns = iter(cases * (runs + 1))
        seconds = timed_runs(
            lambda turns=turns: next(turns),  # type: ignore[misc]
            lambda case, verifier=verifier: verifier.verify(*case),  # type: ignore[misc]
            lambda _, valid: valid,
            runs,
        )
        results.append(Result("verify", key.n_public, "public inputs", seconds, {"circuit": circuit.name}))
    return results


def _refuses_forgeries(verifier: Verifier, cases: list[tuple[list[int], Proof]]) -> None:
    (public, proof), (_, other) = cases
    forgeries = [
        ([(public[0] + 1) % R, *public[1:]], proof),
        (public, other),
        (public, replace(proof, c=other.c)),
    ]
    if any(verifier.verify(*forgery) for forgery in forgeries):
        raise WrongResultError("the verifier accepted a forged proof; run the tests of the prover")


def check(vkey: str, proofs: list[dict[str, str]], progress: Reporter) -> None:
    """Verify proofs in files, {"proof": path, "public": path} each. Raises WrongResultError when one is not valid."""
    verifier = Verifier(read_verification_key(vkey))
    for done, files in enumerate(proofs):
        progress("verifying the proofs", done, len(proofs))
        if not verifier.verify(read_public(files["public"]), read_proof(files["proof"])):
            raise WrongResultError(f"{Path(files['proof']).name} does not verify, so its time means nothing")
