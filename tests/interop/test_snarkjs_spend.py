"""The real `spend` circuit, once through snarkjs: the key it accepts is the one payments are proved with."""

import pytest

from prover.formats.r1cs import write_r1cs
from prover.groth16.setup import domain_power
from prover.keys import default_directory, ensure_keys
from prover.statements import registry
from tests.interop.npm import snarkjs

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_snarkjs_accepts_the_key_of_spend(tmp_path):
    """Every point of the key against constraints and powers of tau; also the one hash input that is no point.

    The keys are this machine's development keys, which the demo and other tests use too: made here when missing.
    """
    manifest = ensure_keys(default_directory(), ["spend"])
    constraints = registry.build("spend").r1cs
    write_r1cs(tmp_path / "spend.r1cs", constraints)
    power = domain_power(constraints)
    assert power == 15
    files = (manifest.directory / f"development_{power}.ptau", manifest.zkey_path("spend_2x2"))
    said = snarkjs("zkey", "verify", "spend.r1cs", *files, cwd=tmp_path).stdout
    assert "contribution #1 gelap setup" in said
    assert "ZKey Ok!" in said
