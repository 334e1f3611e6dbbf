import json
from pathlib import Path

import pytest

from tests.interop.npm import compile_circom, snarkjs
from tests.interop.sample import BEACON, SAMPLE_INPUT


@pytest.fixture(scope="session")
def snarkjs_workspace(tmp_path_factory) -> Path:
    """A folder that circom and snarkjs alone have filled, for tests to read and not to change.

    circuit.r1cs, circuit.sym, circuit.wtns; pot_new.ptau (no contribution), pot_beacon.ptau (two), pot.ptau (prepared
    for phase 2, power 8); circuit_0000.zkey, circuit_0001.zkey (a contribution), circuit_final.zkey (and a beacon),
    vkey.json; proof.json, public.json.
    """
    folder = tmp_path_factory.mktemp("snarkjs")
    source = folder / "circuit.circom"
    source.write_text((Path(__file__).parent / "circuits" / "sample.circom").read_text())
    compile_circom(source, folder)
    (folder / "input.json").write_text(json.dumps(SAMPLE_INPUT))
    for command in (
        "wtns calculate circuit_js/circuit.wasm input.json circuit.wtns",
        "powersoftau new bn128 8 pot_new.ptau",
        "powersoftau contribute pot_new.ptau pot_person.ptau --name=Zoë -e=entropy",
        f"powersoftau beacon pot_person.ptau pot_beacon.ptau {BEACON} 10",
        "powersoftau prepare phase2 pot_beacon.ptau pot.ptau",
        "groth16 setup circuit.r1cs pot.ptau circuit_0000.zkey",
        "zkey contribute circuit_0000.zkey circuit_0001.zkey --name=Zoë -e=entropy",
        f"zkey beacon circuit_0001.zkey circuit_final.zkey {BEACON} 10 --name=beacon",
        "zkey export verificationkey circuit_final.zkey vkey.json",
        "groth16 prove circuit_final.zkey circuit.wtns proof.json public.json",
    ):
        snarkjs(*command.split(), cwd=folder)
    return folder
