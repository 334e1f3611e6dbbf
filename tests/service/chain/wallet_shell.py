"""`gelap wallet` as a person types it, with one wallet folder and its secrets in files."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chain.pool import Pool
from wallet import keystore
from wallet.cli import app
from wallet.network import ChosenProver

WORDS = "abandon " * 23 + "art"  # BIP-39's vector for 32 zero bytes
PASSPHRASE = "correct horse battery staple"
CIRCUITS = frozenset({"spend_2x2", "spend_2x3", "spend_8x2", "insert_64"})


def make_cheap(monkeypatch: pytest.MonkeyPatch, prover: Any) -> None:
    """The verifier of these tests takes any proof; the cost of a passphrase is tested with the keystores."""
    cheap = keystore.Cost(n=2, r=1)
    monkeypatch.setattr(keystore, "Cost", lambda: cheap)
    monkeypatch.setattr(ChosenProver, "circuits", lambda self: CIRCUITS)
    monkeypatch.setattr(ChosenProver, "prove", lambda self, *statement: prover.prove(*statement))


class Shell:
    """Runs commands with one wallet folder, and keeps its secrets in files."""

    def __init__(self, folder: Path, pool: Pool) -> None:
        self.folder = folder
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        (folder / "words").write_text(WORDS)
        (folder / "evm").write_text(pool.account.key.hex())  # type: ignore[union-attr]
        self.environment = {
            "GELAP_WALLET": str(folder / "wallet"),
            "GELAP_PASSPHRASE_FILE": str(folder / "passphrase"),
            "GELAP_EVM_KEY_FILE": str(folder / "evm"),
            "GELAP_RPC_URL": pool.w3.provider.endpoint_uri,  # type: ignore[attr-defined]
        }
        self.where = ["--pool", pool.address, "--deployed-at", str(pool.deployed_at)]

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *arguments: str, code: int = 0, stdin: str | None = None) -> dict[str, Any]:
        result = self.run(*arguments, "--json", stdin=stdin)
        assert result.exit_code == code, result.output
        document = json.loads(result.stdout)
        assert (document["format"], document["version"], document["command"]) == ("gelap-wallet", 1, arguments[0])
        assert document["ok"] == (code == 0)
        assert document.get("error", {}).get("code", 0) == code
        return document

    def result(self, *arguments: str) -> dict[str, Any]:
        return self.json(*arguments)["result"]

    def open(self) -> "Shell":
        """A wallet from WORDS that knows its pool."""
        self.result("import", "--mnemonic-file", str(self.folder / "words"))
        self.result("sync", *self.where)
        return self
