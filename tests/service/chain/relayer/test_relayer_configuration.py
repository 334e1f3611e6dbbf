"""What a relayer is configured with: prices, keys and journals that cannot be used are found, and explained."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain.errors import ChainError
from chain.pool import Pool
from chain.relayer.journal import Journal
from chain.relayer.note_fees import NoteFees
from chain.relayer.prices import Prices
from chain.relayer.service import Relayer
from gelap.cli import app
from protocol.keys import Account
from tests.service.chain.relaying import RECEIVER, funded_account, make_relayer, metric
from wallet.viewing_key import encode


def test_prices_that_became_unusable_leave_the_old_ones_in_force(tmp_path: Path, caplog) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({RECEIVER: "3000"}))
    prices = Prices(path)
    path.write_text('{"0x00')  # somebody writes it just now
    assert prices.rates() == {RECEIVER: 3000}
    assert prices.usable is False
    assert metric("gelap_relayer_prices_usable") == 0
    path.unlink()
    assert prices.rates() == {RECEIVER: 3000}
    path.write_text(json.dumps({RECEIVER: "40000"}))
    assert prices.rates() == {RECEIVER: 40000}
    assert prices.usable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "no tokens"),
        ("{}", "no tokens"),
        ('["0x1"]', "no object"),
        ("5", "no object"),
        ('{"0x1": "5"}', "no address"),
        (json.dumps({RECEIVER: 5}), "quotation marks"),
        (json.dumps({RECEIVER: {"a": "b"}}), "quotation marks"),
        (json.dumps({RECEIVER: "0"}), "from 1"),
        (json.dumps({RECEIVER: "-1"}), "from 1"),
        (json.dumps({RECEIVER: "1e9"}), "from 1"),
        (json.dumps({RECEIVER: "1" * 5000}), "must hold"),
        (f'{{"{RECEIVER}": "1", "{RECEIVER.lower()}": "2"}}', "two prices"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ChainError, match=message) as refused:
        Prices(path)
    assert "prices.json" in str(refused.value)


def test_prices_of_what_is_no_token_are_found_before_serving(relayer, tmp_path, token) -> None:
    relayer.require_usable()
    (tmp_path / "prices.json").write_text(json.dumps({token.address: "1", RECEIVER: "1"}))
    with pytest.raises(ChainError, match=f"no token at {RECEIVER}"):
        relayer.require_usable()


def test_notes_are_not_promised_on_a_pool_without_their_key(pool, token, tmp_path) -> None:
    relayer = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(Account.from_seed(bytes(64))))
    with pytest.raises(ChainError, match="leave the viewing key out"):
        relayer.require_usable()


def test_a_journal_serves_one_account_pool_and_chain(relayer, token, pool, tmp_path) -> None:
    another = funded_account(pool.w3)
    seen = Pool(pool.w3, pool.address, another)
    with pytest.raises(ChainError, match="is the journal of"):
        Relayer(seen, another, Prices(tmp_path / "prices.json"), relayer._journal)


def test_a_journal_of_an_earlier_version_is_brought_up(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE submissions (id TEXT PRIMARY KEY, nonce INTEGER UNIQUE NOT NULL, data TEXT NOT NULL, "
        "gas INTEGER NOT NULL, max_fee INTEGER NOT NULL, tip INTEGER NOT NULL, sent_at REAL NOT NULL, "
        "hashes TEXT NOT NULL, cancelled INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL);"
        "CREATE TABLE nullifiers (nullifier TEXT PRIMARY KEY, submission TEXT NOT NULL);"
        "INSERT INTO submissions VALUES ('a', 4, '0x', 1, 2, 3, 5.0, '[\"0x01\"]', 0, 'pending', '');"
    )
    old.close()
    journal = Journal(path)
    (kept,) = journal.pending()
    assert (kept.nonce, kept.max_fee, kept.hashes, kept.block_hash, kept.way) == (4, 2, ("0x01",), None, "chain")
    journal.close()


def test_what_is_configured_wrongly_is_told_in_one_line(pool, token, tmp_path, w3) -> None:
    files = {name: tmp_path / name for name in ("key", "prices", "viewing")}
    account = funded_account(w3)
    good = {
        "key": account.key.hex(),
        "prices": json.dumps({token.address: "1"}),
        "viewing": encode(Account.from_seed(bytes(64))),
    }

    def run(*extra: str, pool_address: str = pool.address, **contents: str) -> str:
        for name, text in (good | contents).items():
            files[name].write_text(text)
        options = ["--pool", pool_address, "--rpc-url", w3.provider.endpoint_uri, "--key-file", str(files["key"])]
        options += ["--prices", str(files["prices"]), "--journal", str(tmp_path / "journal"), *extra]
        answer = CliRunner().invoke(app, ["relayer", *options])
        assert answer.exit_code == 2
        (line,) = [line for line in answer.output.splitlines() if line.startswith("error: ")]
        assert account.key.hex() not in answer.output
        return line

    viewing = ("--viewing-key-file", str(files["viewing"]))
    assert "holds no key" in run(key="secret words")
    assert "quotation marks" in run(prices=json.dumps({token.address: 1}))
    assert "no token at" in run(prices=json.dumps({RECEIVER: "1"}))
    assert "not a viewing key" in run(*viewing, viewing="gelapview1:00")
    assert "leave the viewing key out" in run(*viewing)
    assert "no contract at" in run(pool_address=RECEIVER)
    assert "no address to listen on" in run("--address", "nowhere")
    assert "is the journal of" in run(key=funded_account(w3).key.hex())
