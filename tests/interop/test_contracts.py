"""The Solidity contracts: their Foundry tests, formatting, lint rules, and the artifacts that are committed.

They run the npm packages forge, solc and solhint.
"""

import json
import subprocess
from pathlib import Path

import pytest

import contracts
from contracts.tools import compile as compiler
from contracts.tools import make_fixtures

pytestmark = pytest.mark.interop

ROOT = Path(contracts.__file__).parents[1]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / command[0]), *command[1:]], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_foundry_tests_pass():
    """forge prints its results as JSON: {suite: {test_results: {name: {status}}}}."""
    result = run("forge", "test", "--json", cwd=ROOT / "contracts")
    assert result.returncode == 0, result.stdout + result.stderr
    suites = json.loads(result.stdout)
    statuses = [test["status"] for suite in suites.values() for test in suite["test_results"].values()]
    assert len(statuses) > 100
    assert set(statuses) == {"Success"}


@pytest.mark.parametrize("name", contracts.NAMES)
def test_a_committed_artifact_is_what_the_compiler_makes_of_the_sources(name, compiled):
    committed = (contracts.ARTIFACTS / f"{name}.json").read_text()
    assert committed == compiler.text(compiled[name]), "run `python -m contracts.tools.compile` and commit the result"


@pytest.fixture(scope="module")
def compiled():
    return compiler.compile_artifacts()


def test_a_contract_fits_the_limits_of_the_chain(compiled):
    """EIP-3860 limits creation code to 49,152 bytes; forge's own check covers EIP-170, 24,576 bytes of code."""
    for name in contracts.NAMES:
        assert len(compiled[name]["bytecode"]) // 2 - 1 <= 49_152
    sizes = run("forge", "build", "--sizes", "--skip", "test", cwd=ROOT / "contracts")
    assert sizes.returncode == 0, sizes.stdout + sizes.stderr


def test_an_unknown_artifact_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="GelapShieldedAccount, Groth16Verifier, TestToken"):
        contracts.artifact("Missing")


@pytest.mark.parametrize("name", ["poseidon", "trapdoors", "verifier"])
def test_a_committed_fixture_is_what_its_generator_writes(name, fixtures):
    assert json.loads((make_fixtures.FIXTURES / f"{name}.json").read_text()) == fixtures[name]


@pytest.fixture(scope="module")
def fixtures():
    return make_fixtures.fixtures()


def test_the_sources_are_formatted():
    result = run("forge", "fmt", "--check", cwd=ROOT / "contracts")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("config", "files"), [("contracts", "contracts/src"), ("contracts/test", "contracts/test")])
def test_the_sources_obey_the_lint_rules(config, files):
    result = run("solhint", "--noPoster", "--max-warnings", "0", "-c", f"{config}/.solhint.json", f"{files}/**/*.sol")
    assert result.returncode == 0, result.stdout + result.stderr
