"""The typed client against the real contracts on anvil."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from web3 import Web3

import chain.events
from chain.deploy import SpendKey, deploy_contract, deploy_pool
from chain.errors import ChainError, MismatchError, NotMinedError, RevertedError, RpcError
from chain.events import AccountUpdated, CommitmentQueued, NullifierUsed, WithdrawExecuted
from chain.pool import NOBODY, Pool, Spend
from chain.reverts import RevertDecoder
from chain.rpc import connect
from chain.sender import Sender
from chain.token import Token
from protocol.merkle import ZEROS, MerkleTree
from protocol.note import MEMO_BYTES
from protocol.poseidon import poseidon
from tests.service.chain.anvil import ask, no_mining, until
from tests.service.chain.conftest import ACCEPTING_VERIFIER

MEMO = bytes(range(MEMO_BYTES))


def spend(pool: Pool, token: Token, **changes: object) -> Spend:
    values: dict[str, object] = {
        "proof": b"\x01" * 256,
        "root": pool.merkle_root(),
        "nullifiers": [101, 102],
        "commitments": [201, 202],
        "public_token": int(token.address, 16),
        "public_amount": 15,
        "receiver": "0x00000000000000000000000000000000000000aa",
        "relayer": NOBODY,
        "fee": 0,
        "deadline": pool.now() + 600,
        "memos": [MEMO, MEMO[::-1]],
    }
    return Spend(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def funded(pool: Pool, token: Token) -> Pool:
    """A pool that holds 100 in one queued note."""
    token.approve(pool.address, 100)
    pool.deposit(token.address, 100, 7, MEMO)
    return pool


def test_a_new_pool_has_the_empty_tree(pool: Pool) -> None:
    assert pool.merkle_root() == ZEROS[32]
    assert pool.known_root(ZEROS[32])
    assert not pool.known_root(ZEROS[31])
    assert (pool.next_leaf_index(), pool.pending_count()) == (0, 0)


def test_a_deposit_queues_the_commitment_that_the_contract_computed(funded: Pool, token: Token) -> None:
    (event,) = funded.events()
    assert isinstance(event, CommitmentQueued)
    assert (event.position, event.memo) == (0, MEMO)
    assert event.commitment == poseidon([7, int(token.address, 16), 100])
    assert token.balance_of(funded.address) == 100
    assert event.origin.timestamp == funded.w3.eth.get_block(event.origin.block_number)["timestamp"]


def test_receipts_say_what_happened(pool: Pool, token: Token) -> None:
    receipt = token.approve(pool.address, 5)
    mined = pool.w3.eth.get_transaction_receipt(receipt.tx_hash)  # type: ignore[arg-type]
    assert (receipt.block_number, receipt.gas_used) == (mined["blockNumber"], mined["gasUsed"])
    assert receipt.timestamp == pool.w3.eth.get_block(receipt.block_number)["timestamp"]


def test_a_permit_deposit_needs_no_approval(pool: Pool, token: Token) -> None:
    permit = token.sign_permit(pool.address, 60, pool.now() + 600)
    pool.deposit_with_permit(token.address, 60, 7, MEMO, permit)
    assert token.balance_of(pool.address) == 60
    assert token.allowance(pool.account.address, pool.address) == 0  # type: ignore[union-attr]


def test_events_come_in_order_and_typed(funded: Pool, token: Token) -> None:
    receipt = funded.withdraw(spend(funded, token))
    events = [event for event in funded.events() if event.origin.block_number == receipt.block_number]
    assert [type(event) for event in events] == [
        NullifierUsed,
        NullifierUsed,
        CommitmentQueued,
        CommitmentQueued,
        WithdrawExecuted,
    ]
    withdrawn = events[-1]
    assert isinstance(withdrawn, WithdrawExecuted)
    assert (int(withdrawn.receiver, 16), withdrawn.token, withdrawn.amount) == (0xAA, token.address, 15)
    assert funded.nullifier_used(101)
    assert not funded.nullifier_used(103)
    assert all(event.origin.transaction_hash == receipt.tx_hash for event in events)


def test_an_insert_moves_the_queue_into_the_tree(funded: Pool, token: Token, pass_time) -> None:
    pass_time(120)
    expected = MerkleTree().plan_batch([poseidon([7, int(token.address, 16), 100])]).new_root
    funded.insert(expected, 1, b"\x01" * 256)
    assert funded.merkle_root() == expected
    update = list(funded.events())[-1]
    assert isinstance(update, AccountUpdated)
    assert (update.root, update.start_index, update.count) == (expected, 0, 1)


@pytest.mark.parametrize(
    ("changes", "error", "advice"),
    [
        ({"root": 99}, "UnknownRoot", "synchronise"),
        ({"nullifiers": [5, 5]}, "NullifierAlreadyUsed", "spent already"),
        ({"deadline": 1}, "Expired", "build it again"),
        ({"memos": [MEMO, b""]}, "MemoLength", "224 bytes"),
        ({"fee": 3}, "RelayerMissing", "needs a relayer"),
        ({"receiver": NOBODY}, "ReceiverMissing", "needs a receiver"),
        ({"nullifiers": [5]}, "UnknownArity", "no key for this number"),
    ],
)
def test_refusals_are_readable_and_cost_nothing(
    funded: Pool, token: Token, changes: dict[str, object], error: str, advice: str
) -> None:
    before = funded.w3.eth.get_transaction_count(funded.account.address)  # type: ignore[union-attr]
    with pytest.raises(RevertedError, match=advice) as caught:
        funded.withdraw(spend(funded, token, **changes))
    assert (caught.value.name, caught.value.transaction) == (error, None)
    assert funded.w3.eth.get_transaction_count(funded.account.address) == before  # type: ignore[union-attr]


def test_a_refusal_names_its_arguments(funded: Pool, token: Token) -> None:
    with pytest.raises(RevertedError) as caught:
        funded.withdraw(spend(funded, token, root=99))
    assert caught.value.arguments == {"root": 99}
    assert "UnknownRoot(root=99)" in str(caught.value)


def test_a_deposit_without_allowance_is_refused_with_the_reason(pool: Pool, token: Token) -> None:
    with pytest.raises(RevertedError, match=r"TransferFailed|approve the amount"):
        pool.deposit(token.address, 100, 7, MEMO)


def test_a_transaction_that_fails_only_when_mined_says_why(funded: Pool, token: Token, w3: Web3) -> None:
    with ThreadPoolExecutor(1) as thread, no_mining(w3) as mine:
        sent = thread.submit(funded.withdraw, spend(funded, token))
        until(lambda: sent.done() or w3.eth.get_block("pending")["transactions"])
        # From here on the verifier reverts with InvalidProof().
        refusing = "0x63" + keccak(text="InvalidProof()")[:4].hex() + "60e01b5f5260045ffd"
        ask(w3, "anvil_setCode", funded._contract.functions.verifier().call(), refusing)
        mine()
        with pytest.raises(RevertedError, match="the proof was made for other inputs") as caught:
            sent.result(timeout=60)
    assert caught.value.name == "InvalidProof"
    receipt = w3.eth.get_transaction_receipt(caught.value.transaction)  # type: ignore[arg-type]
    assert receipt["status"] == 0


def test_a_transaction_that_is_not_mined_in_time_is_not_called_failed(
    pool: Pool, w3: Web3, evm_accounts: list[LocalAccount]
) -> None:
    sender = Sender(w3, evm_accounts[0], RevertDecoder([]), timeout=0.2)
    with no_mining(w3) as mine:
        with pytest.raises(NotMinedError, match="may still land") as caught:
            sender.send(evm_accounts[1].address, "0x")
        mine()
    assert w3.eth.get_transaction_receipt(caught.value.transaction)["status"] == 1  # type: ignore[arg-type]


def test_a_transaction_whose_sending_was_not_answered_is_not_called_failed(
    pool: Pool, w3: Web3, evm_accounts: list[LocalAccount], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node takes it and the answer is lost: who takes that for a failure and pays again pays twice."""
    take = w3.eth.send_raw_transaction

    def take_and_fall_silent(transaction: bytes) -> None:
        take(transaction)
        raise requests.ReadTimeout

    sender = Sender(w3, evm_accounts[0], RevertDecoder([]))
    with monkeypatch.context() as patch:
        patch.setattr(w3.eth, "send_raw_transaction", take_and_fall_silent)
        with pytest.raises(NotMinedError, match="may have been taken") as caught:
            sender.send(evm_accounts[1].address, "0x")
    # The node answers when it has taken a transaction, not when it has mined it.
    mined = w3.eth.wait_for_transaction_receipt(caught.value.transaction, timeout=60)  # type: ignore[arg-type]
    assert mined["status"] == 1


def test_a_transaction_that_the_node_refuses_was_not_sent(w3: Web3) -> None:
    pauper = EvmAccount.create()
    with pytest.raises(RpcError, match="refused"):
        Sender(w3, pauper, RevertDecoder([])).send(pauper.address, "0x")


def test_pages_cover_every_block_once_however_small_the_node_wants_them(
    funded: Pool, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    for amount in (1, 2, 3):
        token.approve(funded.address, amount)
        funded.deposit(token.address, amount, amount, MEMO)
    whole = list(funded.events())
    real = funded.w3.eth.get_logs

    def strict(request):
        if request["toBlock"] - request["fromBlock"] + 1 > 2:
            raise chain.events.RpcError("query returned more than 10000 results")
        return real(request)

    monkeypatch.setattr(funded.w3.eth, "get_logs", strict)
    pages = list(funded.pages())
    assert [event for page in pages for event in page.events] == whole
    assert pages[0].first_block == funded.deployed_at
    assert pages[-1].last_block == funded.block_number()
    assert all(after.first_block == before.last_block + 1 for before, after in itertools.pairwise(pages))
    assert all(page.last_block - page.first_block < 2 for page in pages)


def test_a_read_only_client_reads_but_cannot_pay(funded: Pool, token: Token) -> None:
    reader = Pool(funded.w3, funded.address, deployed_at=funded.deployed_at)
    assert len(list(reader.events())) == 1
    with pytest.raises(ChainError, match="can only read"):
        reader.deposit(token.address, 1, 7, MEMO)


def test_an_address_without_contract_is_refused(w3: Web3, evm_accounts: list[LocalAccount]) -> None:
    with pytest.raises(ChainError, match="no contract at"):
        Pool(w3, evm_accounts[1].address)


def test_a_pool_says_which_numbers_of_notes_it_takes_and_is_asked_once(
    pool: Pool, w3: Web3, evm_accounts: list[LocalAccount], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pool.arities() == {(2, 2)}
    verifier = deploy_contract(w3, evm_accounts[0], ACCEPTING_VERIFIER)
    keys = [SpendKey(8, 2, b"consolidate"), SpendKey(2, 2, b"spend"), SpendKey(1, 1, b"no circuit of ours")]
    other = Pool(w3, deploy_pool(w3, evm_accounts[0], verifier.address, b"insert", keys).address)
    assert other.arities() == {(8, 2), (2, 2)}
    other.arities().clear()
    monkeypatch.setattr(w3.eth, "call", None)
    assert other.arities() == {(8, 2), (2, 2)}


def test_another_contract_is_not_taken_for_a_pool(w3: Web3, token: Token) -> None:
    imposter = Pool(w3, token.address)
    with pytest.raises(ChainError):
        imposter.merkle_root()
    with pytest.raises(ChainError):
        imposter.arities()
    assert list(imposter.events(w3.eth.block_number - 2)) == []


def test_an_endpoint_that_nobody_serves_is_reported() -> None:
    with pytest.raises(RpcError, match="GELAP_RPC_URL"):
        connect("http://127.0.0.1:9", timeout=1.0)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ftp://host"])
def test_an_endpoint_must_be_an_http_url(url: str) -> None:
    with pytest.raises(RpcError, match="http or https"):
        connect(url)


def test_a_log_that_cannot_be_decoded_is_a_mismatch() -> None:
    log = {
        "topics": [chain.events.TOPIC_UPDATED],
        "data": b"\0" * 31,
        "blockNumber": 1,
        "blockHash": b"\1" * 32,
        "transactionHash": b"\2" * 32,
        "logIndex": 0,
    }
    with pytest.raises(MismatchError, match="cannot be decoded"):
        chain.events.parse_log(log, timestamp=0)
