"""After a warm-up the first proof waits for nothing that the second does not."""

import subprocess
import sys
from pathlib import Path

from prover.formats.zkey import write_zkey
from prover.groth16.setup import setup
from tests.unit.groth16 import samples

_ROOT = Path(__file__).parents[3]

# A process of its own: in this one, other tests have loaded kernels already.
_CHILD = """
import sys
from prover.backend import warm_up
from prover.engine import Engine
from prover.groth16.prove import ProvingKey
from prover.kernels import native
from prover.ntt import domain
from prover.witness import cpu as witness
from tests.unit.groth16 import samples

def ready():
    tables = (domain.twiddles, domain.coset_factors, witness.checker, witness._program_arrays)
    return sorted(native._images), [table.cache_info().misses for table in tables]

engine = Engine(samples.product_circuit(), ProvingKey.load(sys.argv[1]))
before = ready()
warm_up()
engine.warm_up()
after = ready()
proof = engine.prove(engine.solve({"result": 35, "left": 5, "right": 7}))
assert engine.verify([35], proof)
assert before != after, "the warm-up did nothing"
assert ready() == after, f"the first proof had to make more ready: {after} became {ready()}"
assert "numba" not in sys.modules
"""


def test_the_first_proof_after_a_warm_up_loads_no_kernel_and_computes_no_table(tmp_path):
    key = tmp_path / "product.zkey"
    write_zkey(key, setup(samples.product_circuit().r1cs, samples.powers_of_tau()))
    command = [sys.executable, "-c", _CHILD, str(key)]
    child = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert child.returncode == 0, child.stderr
