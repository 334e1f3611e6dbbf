"""The Solidity contracts and their compiled artifacts.

`src/` holds the sources, `test/` their Foundry tests, `artifacts/` what `python -m contracts.tools.compile` wrote.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

ARTIFACTS = Path(__file__).parent / "artifacts"
NAMES = ("GelapShieldedAccount", "Groth16Verifier", "TestToken")


@cache
def artifact(name: str) -> dict[str, Any]:
    """Return the committed artifact of a contract, one of `NAMES`.

    The keys are `abi` (list), `bytecode` (creation code, 0x and hexadecimal), `compiler` (solc's full version) and
    `settings` (what solc was given). Raises ValueError for another name.
    """
    if name not in NAMES:
        raise ValueError(f"no contract is called {name!r}; there are {', '.join(NAMES)}")
    result: dict[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_text())
    return result
