"""Every round constant and matrix drawn from the Grain LFSR is the one circomlib ships, at every width."""

import re
from pathlib import Path

import pytest

from protocol.poseidon import MAX_INPUTS, parameters

pytestmark = pytest.mark.interop

# The npm package circomlib, the constants of its unoptimised Poseidon.
CONSTANTS = Path(__file__).parents[2] / "node_modules/circomlib/circuits/poseidon_constants_old.circom"


@pytest.fixture(scope="module")
def tables():
    """Both tables of the file: for each width, all its numbers in order."""
    source = CONSTANTS.read_text()
    functions = re.split(r"function POSEIDON_([CM])\(t\)", source)
    return {
        name: {
            int(width): [int(number, 0) for number in re.findall(r"0x[0-9a-f]+|\d+", numbers)]
            for width, numbers in re.findall(r"t == (\d+)\)\s*\{\s*return\s*\[(.*?)\]\s*;", body, re.DOTALL)
        }
        for name, body in zip(functions[1::2], functions[2::2], strict=True)
    }


@pytest.mark.parametrize("n_inputs", range(1, MAX_INPUTS + 1))
def test_constants_agree_with_circomlib(tables, n_inputs):
    params = parameters(n_inputs)
    width = n_inputs + 1
    assert [constant for row in params.round_constants for constant in row] == tables["C"][width]
    assert [entry for row in params.mds for entry in row] == tables["M"][width]
