"""The examples of docs/wallet.md run as they stand, one after the other."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from chain.pool import Pool
from chain.token import Token
from protocol.keys import new_mnemonic
from tests.service.chain.conftest import UncheckedProver
from tests.service.chain.relaying import RECEIVER, make_relayer, served
from wallet import relaying
from wallet.proving import RemoteProver
from wallet.wallet import Wallet

PAGE = Path(__file__).parents[3] / "docs" / "wallet.md"


def test_the_examples_of_the_library_run(
    pool: Pool,
    token: Token,
    evm_accounts: list[LocalAccount],
    open_wallet: Callable[..., Wallet],
    insert_all: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(relaying, "POLL_SECONDS", 0.05)
    library = PAGE.read_text().partition("## The library")[2]
    opening, depositing, paying, withdrawing, parts = re.findall(r"```python\n(.*?)```", library, re.DOTALL)
    bob = open_wallet(1)
    received = token.balance_of(RECEIVER)
    names: dict[str, Any] = {
        "rpc_url": pool.w3.provider.endpoint_uri,  # type: ignore[union-attr]
        "pool_address": pool.address,
        "evm_account": evm_accounts[0],
        "block_number": pool.deployed_at,
        "api_key": "key",
        "pinned_key_fingerprint": "ab" * 32,
        "mnemonic": new_mnemonic(),
        "token": token.address,
        "bob_address": bob.new_address(),
        "fresh_address": RECEIVER,
    }
    prover = UncheckedProver()
    monkeypatch.setattr(RemoteProver, "prove", lambda self, *given: prover.prove(*given))
    exec(opening, names)
    exec(depositing, names)
    insert_all()
    exec(paying, names)
    insert_all()
    relayer = make_relayer(pool, token, tmp_path)
    with served(relayer) as names["relayer_url"]:
        exec(withdrawing, names)
    relayer._journal.close()
    insert_all()
    exec(parts, names)
    bob.sync()
    assert bob.balance(token.address).total == 40 + 25
    assert token.balance_of(RECEIVER) == received + 100
