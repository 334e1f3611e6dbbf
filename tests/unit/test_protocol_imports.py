"""A core install has no `cryptography` and no `mnemonic`: what the prover imports must do without them."""

import subprocess
import sys

import pytest

CORE = ["field", "poseidon", "babyjubjub", "eddsa", "note", "merkle", "statements", "input_encoding", "derivation"]
BLOCK = """
import sys
sys.modules.update(dict.fromkeys(["cryptography", "mnemonic", "numpy", "numba", "web3", "eth_utils"]))
import importlib
importlib.import_module("protocol." + sys.argv[1])
"""


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_imports_only_the_standard_library_and_pycryptodome(module):
    subprocess.run([sys.executable, "-c", BLOCK, module], check=True, timeout=60)
