"""`gelap wallet` on anvil: what people type, what scripts read, and how it ends. Proofs are not checked here."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from chain.pool import Pool
from chain.token import Token
from tests.service.chain.wallet_shell import PASSPHRASE, WORDS, Shell, make_cheap

RECEIVER = "0x00000000000000000000000000000000000000AA"


@pytest.fixture(autouse=True)
def _cheap_keystores_and_proofs(monkeypatch: pytest.MonkeyPatch, prover) -> None:
    make_cheap(monkeypatch, prover)


@pytest.fixture
def shell(tmp_path: Path, pool: Pool, token: Token) -> Shell:
    return Shell(tmp_path, pool).open()


def test_a_payment_from_deposit_to_withdrawal_on_the_command_line(
    shell: Shell, token: Token, pool: Pool, insert_all: Callable[[], None]
) -> None:
    deposited = shell.json("deposit", token.address, "0.75", "--decimals", "2", "--yes")
    assert deposited["result"]["amount"] == "75"
    assert "75 is an amount that few others use" in deposited["warnings"][0]
    waiting = shell.result("balance")
    assert waiting["tokens"][token.address] == {"spendable": "0", "pending": "75", "reserved": "0", "total": "75"}
    assert "tree update" in waiting["not_spendable_yet"][0]
    too_early = shell.json("withdraw", RECEIVER, token.address, "5", "--yes", code=6)
    assert too_early["error"]["name"] == "not-spendable-yet"
    assert shell.result("insert", "--yes")["outcome"] == "too early"
    insert_all()

    own = shell.result("address", "--label", "myself")["address"]
    looked_at = shell.result("send", own, token.address, "40", "--dry-run")
    assert (looked_at["dry_run"], looked_at["notes"]) == (True, 1)
    assert shell.result("balance")["tokens"][token.address]["spendable"] == "75", "looking reserves nothing"
    sent = shell.result("send", own, token.address, "40", "--text", "[bold]hi", "--yes")
    assert pool.w3.eth.get_transaction_receipt(sent["transaction"])["status"] == 1
    insert_all()
    assert shell.result("consolidate", token.address, "--yes")["notes"] == 2
    insert_all()
    withdrawn = shell.json("withdraw", RECEIVER, token.address, "75", "--yes")
    assert token.balance_of(RECEIVER) == 75
    told = " ".join(withdrawn["warnings"])
    assert all(part in told for part in ("few others use", "0 hours ago", "exactly this amount", "pays for gas"))
    kinds = [entry["kind"] for entry in shell.result("history")["history"]]
    assert sorted(kinds) == ["deposited", "merged", "received", "sent", "withdrawn"]
    assert "[bold]hi" in shell.run("history").stderr
    assert shell.result("notes")["notes"] == []
    assert {note["state"] for note in shell.result("notes", "--spent")["notes"]} >= {"spent"}
    assert shell.result("address", "--list")["addresses"] == [{"address": own, "label": "myself"}]
    assert shell.result("status")["payments"] == []
    assert shell.result("resume", "--yes") == {"payments": [], "waiting": 0}


def test_a_view_only_wallet_sees_the_same_and_spends_nothing(
    shell: Shell, token: Token, insert_all: Callable[[], None], tmp_path: Path
) -> None:
    shell.result("deposit", token.address, "50", "--yes")
    insert_all()
    exported = shell.run("export-viewing-key", "--out", str(tmp_path / "viewing"))
    assert (exported.exit_code, exported.stdout) == (0, "")
    assert "sees every payment" in exported.stderr
    assert stat.S_IMODE((tmp_path / "viewing").stat().st_mode) == 0o600
    looking = {"GELAP_WALLET": str(tmp_path / "looking")}
    shell.environment |= looking
    assert shell.result("import", "--viewing-key", str(tmp_path / "viewing"))["view_only"]
    assert shell.result("balance", *shell.where)["tokens"][token.address]["spendable"] == "50"
    assert shell.result("status")["view_only"]
    assert shell.json("withdraw", RECEIVER, token.address, "5", "--yes", code=13)["error"]["name"] == "view-only"
    assert shell.json("backup", "--out", str(tmp_path / "words2"), code=13)["error"]["name"] == "view-only"


def test_json_is_all_there_is_on_stdout_and_people_are_spoken_to_on_stderr(shell: Shell) -> None:
    spoken = shell.run("status")
    assert (spoken.stdout, "read up to block" in spoken.stderr) == ("", True)
    assert shell.run("status", "--quiet").output == ""
    address = shell.run("address", "--quiet")
    assert address.stdout.startswith("gelap1")
    assert address.stdout.count("\n") == 1


def test_nothing_happens_before_somebody_said_yes(shell: Shell, token: Token, pool: Pool) -> None:
    before = pool.block_number()
    assert shell.json("deposit", token.address, "5", code=14)["error"]["name"] == "not-confirmed"
    assert shell.result("deposit", token.address, "5", "--dry-run")["held"] == "1000"
    assert pool.block_number() == before


def test_mistakes_end_with_their_code_and_one_line(shell: Shell, token: Token, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong horse battery staple")
    for code, arguments in (
        (2, ["send", "gelap1nonsense", token.address, "5", "--yes"]),
        (2, ["deposit", token.address, "0.5", "--yes"]),
        (2, ["deposit", token.address, "-5", "--yes"]),
        (2, ["balance", "--chain", "moon"]),
        (2, ["balance", "--chain", "base"]),
        (2, ["balance", "--chain", "ethereum", *shell.where]),
        (2, ["send", "gelap1x", token.address, "5", "--prover", "carrier-pigeon"]),
        (3, ["import", "--mnemonic-file", str(tmp_path / "words")]),
        (3, ["balance", "--wallet", str(tmp_path / "nowhere")]),
        (4, ["balance", "--passphrase-file", str(tmp_path / "wrong")]),
        (4, ["balance", "--passphrase-file", str(tmp_path / "missing")]),
        (5, ["deposit", token.address, "100000", "--yes"]),
        (8, ["balance", "--rpc-url", "http://127.0.0.1:9"]),
        (15, ["balance", "--proxy", "socks5://127.0.0.1:9"]),
    ):
        result = shell.run(*arguments)
        assert result.exit_code == code, (arguments, result.output)
        assert "Traceback" not in result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == (0 if arguments[-2] == "-5" else 1), result.stderr


def test_secrets_come_from_files_stdin_or_the_terminal_and_only_one_from_stdin(shell: Shell, tmp_path: Path) -> None:
    shell.environment["GELAP_WALLET"] = str(tmp_path / "second")
    both = shell.json("import", "--mnemonic-file", "-", "--passphrase-file", "-", code=2, stdin=WORDS)
    assert "only one secret or payment" in both["error"]["message"]
    del shell.environment["GELAP_PASSPHRASE_FILE"]
    no_terminal = shell.json("import", "--mnemonic-file", str(tmp_path / "words"), code=4)
    assert "--passphrase-file FILE" in no_terminal["error"]["message"]
    shell.json("import", "--mnemonic-file", str(tmp_path / "words"), "--passphrase-file", "-", stdin=PASSPHRASE)
    made = shell.json("backup", "--out", str(tmp_path / "again"), "--passphrase-file", "-", stdin=PASSPHRASE)
    assert made["result"] == {"written_to": str(tmp_path / "again")}
    assert (tmp_path / "again").read_text() == WORDS + "\n"


def test_init_shows_the_words_to_a_terminal_or_a_new_file_only(shell: Shell, tmp_path: Path) -> None:
    shell.environment["GELAP_WALLET"] = str(tmp_path / "new")
    out = tmp_path / "paper"
    made = shell.json("init", "--words", "12", "--out", str(out))
    words = out.read_text()
    assert len(words.split()) == 12
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert words.split()[0] not in json.dumps(made).split()
    shell.environment["GELAP_WALLET"] = str(tmp_path / "newer")
    silent = shell.run("init")
    assert silent.exit_code == 0
    assert "gelap wallet backup" in silent.stderr


def test_a_changed_passphrase_opens_the_wallet_and_the_old_one_no_more(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a passphrase of today")
    changed = shell.run("passphrase", "--new-passphrase-file", str(tmp_path / "new"))
    assert (changed.exit_code, changed.stdout) == (0, "")
    assert "still open with the old one" in changed.stderr
    assert shell.json("balance", code=4)["error"]["name"] == "passphrase"
    shell.environment["GELAP_PASSPHRASE_FILE"] = str(tmp_path / "new")
    assert shell.result("balance")["tokens"] == {}
    both = shell.json(
        "passphrase", "--passphrase-file", "-", "--new-passphrase-file", "-", code=2, stdin="a passphrase of today"
    )
    assert "only one secret or payment" in both["error"]["message"]
    (tmp_path / "short").write_text("short")
    assert shell.json("passphrase", "--new-passphrase-file", str(tmp_path / "short"), code=4)["error"]["code"] == 4


def test_recipient_and_amount_may_come_from_a_file_or_stdin(
    shell: Shell, token: Token, insert_all: Callable[[], None], tmp_path: Path
) -> None:
    shell.result("deposit", token.address, "75", "--yes")
    insert_all()
    own = shell.result("address")["address"]
    document = {"to": own, "token": token.address, "amount": "0.40", "text": "hi"}
    (tmp_path / "payment").write_text(json.dumps(document))
    shell.result("send", "--payment-file", str(tmp_path / "payment"), "--decimals", "2", "--yes")
    insert_all()
    # With stdin taken nobody can be asked there.
    out = json.dumps({"to": RECEIVER, "token": token.address, "amount": 5})
    assert "--yes" in shell.json("withdraw", "--payment-file", "-", code=14, stdin=out)["error"]["message"]
    before = token.balance_of(RECEIVER)
    shell.json("withdraw", "--payment-file", "-", "--yes", stdin=out)
    assert token.balance_of(RECEIVER) == before + 5
    (sent,) = (entry for entry in shell.result("history")["history"] if entry["kind"] == "sent")
    assert (sent["amount"], sent["counterparty"]) == ("40", own)
    for arguments, words in (
        (["send", own, "--payment-file", str(tmp_path / "payment")], "not both"),
        (["send", own, token.address], "three arguments"),
        (["withdraw", "--payment-file", str(tmp_path / "payment")], "no text"),
        (["withdraw", "--payment-file", str(tmp_path / "nowhere")], "cannot be read"),
        (["withdraw", "--payment-file", "-", "--passphrase-file", "-"], "only one secret or payment"),
    ):
        message = shell.json(*arguments, "--yes", code=2, stdin=out)["error"]["message"]
        assert words in message, arguments


@pytest.mark.parametrize("delay", ["soon", "-1", "86401", "1.5", ""])
def test_a_delay_is_a_number_of_seconds_or_auto(shell: Shell, token: Token, delay: str) -> None:
    refused = shell.json("withdraw", RECEIVER, token.address, "5", f"--delay={delay}", "--yes", code=2)
    assert "--delay is a number of seconds" in refused["error"]["message"]


def test_a_payment_waits_a_random_time_within_its_delay(
    shell: Shell, token: Token, insert_all: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("wallet.commands.spending.time", SimpleNamespace(sleep=waited.append))
    shell.result("deposit", token.address, "75", "--yes")
    insert_all()
    for delay, longest in (("7", 7), ("auto", 3600)):
        shell.result("withdraw", RECEIVER, token.address, "5", "--delay", delay, "--yes")
        insert_all()
        assert 0 <= waited.pop() <= longest
    assert waited == []
