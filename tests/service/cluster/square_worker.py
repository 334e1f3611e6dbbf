"""A worker process of the real service with a circuit so small that proving it takes no time.

The circuit says: I know a `root` whose square is the public input `square`. Its "proof" is a digest that anyone can
compute, which is all that the cluster around it needs. Further inputs make it wait or make it fail.

    python square_worker.py KEY_DIR CLUSTER_KEY_FILE [LEASE_SECONDS]

GELAP_REDIS_URL and GELAP_CACHE_DIR, the folder of the gates, are in the environment.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

from gelap.logs import configure_logs
from protocol.field import R
from prover.errors import InputError, InvalidProofError, UnsatisfiedError
from worker.errors import ConfigurationError
from worker.jobs import Limits
from worker.service import WorkerConfig, serve


class SquareCircuit:
    device, batch = "cpu", 1

    def __init__(self, entry):
        self.verification_key_digest = entry.verification_key_digest

    def solve(self, inputs):
        if "root" not in inputs:
            raise InputError("the input root is missing")
        trouble = inputs.get("trouble", 0)
        if trouble == 1:
            int(f"not a number: {inputs['root']}")  # an error nobody planned for, with a secret in its message
        if trouble == 2:
            os.kill(os.getpid(), 9)
        if inputs["root"] ** 2 % R != inputs["square"]:
            raise UnsatisfiedError("constraint 0 of the square does not hold")
        return dict(inputs)

    def public_inputs(self, witness):
        return [witness["square"]]

    def prove(self, witnesses, phase_done):
        return [self.prove_one(witness) for witness in witnesses]

    def prove_one(self, witness):
        if "gate" in witness:
            wait_at_gate(Path(os.environ["GELAP_CACHE_DIR"]) / f"gate-{witness['gate']}")
        time.sleep(witness.get("pause", 0) / 1000)
        if witness.get("trouble") == 3:
            raise InvalidProofError("the proof does not verify")
        return proof_of(witness["square"])

    def verify(self, public_inputs, proof):
        return proof == proof_of(public_inputs[0])


def wait_at_gate(gate):
    """Until the test opens it, see `tests.service.cluster_processes.Gate`."""
    gate.with_suffix(".begun").touch()
    while not gate.with_suffix(".open").exists():
        time.sleep(0.01)


def proof_of(square):
    return b"\0" + hashlib.shake_256(square.to_bytes(32, "big")).digest(255)


if __name__ == "__main__":
    configure_logs()
    lease = float(sys.argv[3]) if len(sys.argv) > 3 else 8.0
    config = WorkerConfig(
        os.environ["GELAP_REDIS_URL"], Path(sys.argv[1]), Path(sys.argv[2]), limits=Limits(lease=lease)
    )
    try:
        status = serve(config, lambda entries: {name: SquareCircuit(entry) for name, entry in entries.items()})
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    sys.exit(status)
