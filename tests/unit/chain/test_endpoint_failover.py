"""Several endpoints behind one web3 client: what is asked of which, and what a failure in between may not do."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3RPCError

from chain.endpoints import Endpoint
from chain.errors import NotMinedError, RpcError, UnavailableError
from chain.events import read_pages
from chain.reverts import RevertDecoder
from chain.rpc import FailoverProvider, connect, on_each_endpoint, on_one_endpoint, rpc_errors
from chain.sender import Sender
from tests.unit.chain.scripted_node import Drip, HangUp, Node, Refusal, Status, serving

POOL = Web3.to_checksum_address("0x" + "12" * 20)
NOBODY_THERE = "http://127.0.0.1:9"


def fails(error: Exception) -> Callable[..., Any]:
    def answer(*_: Any) -> Any:
        raise error

    return answer


def block(fill: str) -> Callable[..., dict[str, Any]]:
    """Any block, with a hash that shows which node said so."""

    def answer(number: str, _: bool) -> dict[str, Any]:
        return {
            "number": number if number.startswith("0x") else "0x5",
            "hash": "0x" + fill * 64,
            "timestamp": "0x10",
            "baseFeePerGas": "0x7",
        }

    return answer


def client(*urls: str, sleeps: list[float] | None = None, timeout: float = 10.0) -> Web3:
    pauses = [] if sleeps is None else sleeps
    return Web3(FailoverProvider([Endpoint(url, timeout) for url in urls], 30.0, pauses.append))


def test_the_next_endpoint_answers_when_one_does_not() -> None:
    good = Node(eth_blockNumber=lambda: "0x5")
    for failure in (HangUp(), Status(500), Status(503), Status(429), Refusal("limit exceeded", -32005)):
        bad = Node(eth_blockNumber=fails(failure))
        with serving(bad, good) as urls:
            assert client(*urls).eth.block_number == 5, failure
    assert client(NOBODY_THERE, good.url).provider is not None
    with serving(good) as (url,):
        assert client(NOBODY_THERE, url).eth.block_number == 5
        assert connect(f"{NOBODY_THERE} {url}").eth.block_number == 5


def test_an_endpoint_that_failed_rests_while_another_answers() -> None:
    bad, good = Node(eth_blockNumber=fails(Status(503))), Node(eth_blockNumber=lambda: "0x5")
    with serving(bad, good) as urls:
        w3 = client(*urls)
        assert [w3.eth.block_number for _ in range(3)] == [5, 5, 5]
    assert bad.methods() == ["eth_blockNumber"], "asked once, then left to rest"


def test_a_refusal_is_an_answer_and_asks_nobody_else() -> None:
    refusing, other = Node(eth_blockNumber=fails(Refusal("no"))), Node(eth_blockNumber=lambda: "0x5")
    with serving(refusing, other) as urls, pytest.raises(Web3RPCError, match="no"):
        client(*urls).eth.block_number  # noqa: B018
    assert other.asked == []


def test_a_single_endpoint_is_asked_again_after_the_pause_it_asks_for() -> None:
    answers = iter([Status(429, Retry_After="7"), Status(503), None])

    def number() -> str:
        failure = next(answers)
        if failure is not None:
            raise failure
        return "0x5"

    sleeps: list[float] = []
    with serving(Node(eth_blockNumber=number)) as urls:
        assert client(*urls, sleeps=sleeps).eth.block_number == 5
    assert sleeps == [7.0, 0.5]


def test_a_pause_longer_than_the_patience_is_not_waited_for() -> None:
    sleeps: list[float] = []
    busy = Node(eth_blockNumber=fails(Status(429, Retry_After="900")))
    with serving(busy) as urls, pytest.raises(UnavailableError, match="HTTP status 429"):
        client(*urls, sleeps=sleeps).eth.block_number  # noqa: B018
    assert sleeps == []


def test_an_answer_that_drips_is_given_up() -> None:
    dripping, good = Node(eth_blockNumber=fails(Drip())), Node(eth_blockNumber=lambda: "0x5")
    with serving(dripping, good) as urls:
        impatient, patient = (Endpoint(url, timeout) for url, timeout in zip(urls, (0.05, 10.0), strict=True))
        assert Web3(FailoverProvider([impatient, patient], 30.0)).eth.block_number == 5


def test_an_endpoint_of_another_chain_is_left_alone() -> None:
    good, foreign = Node(eth_blockNumber=lambda: "0x5"), Node(eth_chainId=lambda: "0x1", eth_blockNumber=lambda: "0x9")
    with serving(good, foreign) as urls:
        w3 = client(*urls)
        assert w3.eth.block_number == 5
        good.answers["eth_blockNumber"] = fails(Status(503))
        with pytest.raises(UnavailableError, match="serves chain 1, not 31337"):
            w3.eth.block_number  # noqa: B018
    assert foreign.methods() == []


def test_a_page_and_its_hash_come_from_one_endpoint() -> None:
    """The first endpoint ends between hash and logs; the second is on another fork."""
    first = Node(eth_getBlockByNumber=block("a"), eth_getLogs=fails(HangUp()))
    second = Node(eth_getBlockByNumber=block("b"), eth_getLogs=lambda _: [])
    with serving(first, second) as urls:
        (page,) = read_pages(client(*urls), POOL, 3, 4)
    assert page.last_hash == "0x" + "b" * 64
    assert second.methods() == ["eth_getBlockByNumber", "eth_getLogs", "eth_getBlockByNumber"]


def test_an_endpoint_that_is_behind_is_passed_over() -> None:
    behind = Node(eth_getBlockByNumber=lambda *_: None, eth_getLogs=lambda _: [])
    ahead = Node(eth_getBlockByNumber=block("b"), eth_getLogs=lambda _: [])
    with serving(behind, ahead) as urls:
        (page,) = read_pages(client(*urls), POOL, 3, 4)
        assert page.last_hash == "0x" + "b" * 64
        with pytest.raises(UnavailableError, match="does not have block 4"):
            list(read_pages(client(urls[0]), POOL, 3, 4))


def test_what_belongs_together_is_done_again_as_a_whole() -> None:
    first = Node(eth_blockNumber=lambda: "0x1", eth_gasPrice=fails(HangUp()))
    second = Node(eth_blockNumber=lambda: "0x2", eth_gasPrice=lambda: "0x20")
    with serving(first, second) as urls:
        w3 = client(*urls)
        assert on_one_endpoint(w3, lambda: (w3.eth.block_number, w3.eth.gas_price)) == (2, 0x20)
        nested = on_one_endpoint(w3, lambda: on_one_endpoint(w3, lambda: w3.eth.block_number))
        assert nested == 2


# Sending


def sender(w3: Web3) -> Sender:
    return Sender(w3, Account.from_key("0x" + "11" * 32), RevertDecoder([]))


def paying(fill: str = "a", **answers: Callable[..., Any]) -> Node:
    """A node with all that a transaction needs."""
    return Node(
        **{
            "eth_estimateGas": lambda *_: "0x5208",
            "eth_getBlockByNumber": block(fill),
            "eth_maxPriorityFeePerGas": lambda: "0x1",
            "eth_getTransactionCount": lambda *_: "0x3",
            "eth_sendRawTransaction": lambda raw: hash_of(raw),
            "eth_getTransactionReceipt": receipt,
        }
        | answers
    )


def hash_of(raw: str) -> str:
    return HexBytes(keccak(hexstr=raw)).to_0x_hex()


def receipt(transaction: str) -> dict[str, Any]:
    return {
        "transactionHash": transaction,
        "blockNumber": "0x5",
        "blockHash": "0x" + "a" * 64,
        "gasUsed": "0x5208",
        "status": "0x1",
        "contractAddress": None,
        "logs": [],
    }


def sent(*nodes: Node) -> list[str]:
    return [params[0] for node in nodes for method, params in node.asked if method == "eth_sendRawTransaction"]


@pytest.mark.parametrize("words", ["already known", "transaction already imported", "nonce too low", "AlreadyKnown"])
def test_a_transaction_whose_answer_was_lost_is_handed_on_as_it_is_and_sent_once(words: str) -> None:
    first = paying(eth_sendRawTransaction=fails(HangUp()))
    # The second endpoint knows of another nonce: signing again would pay twice.
    second = paying(eth_getTransactionCount=lambda *_: "0x4", eth_sendRawTransaction=fails(Refusal(words)))
    with serving(first, second) as urls:
        done = sender(client(*urls)).send(POOL, "0x")
    raw = sent(first, second)
    assert len(raw) == 2
    assert set(raw) == {raw[0]}
    assert done.tx_hash == hash_of(raw[0])
    assert "eth_getTransactionCount" not in second.methods()


def test_a_refusal_of_a_transaction_that_nobody_else_got_is_a_refusal() -> None:
    for failure in (Status(429), Refusal("limit exceeded", -32005)):
        busy = paying(eth_sendRawTransaction=fails(failure))
        second = paying(eth_sendRawTransaction=fails(Refusal("nonce too low")))
        with serving(busy, second) as urls, pytest.raises(RpcError, match="nonce too low"):
            sender(client(*urls)).send(POOL, "0x")


def test_a_transaction_that_may_have_been_taken_is_said_to_be_on_its_way() -> None:
    with serving(paying(eth_sendRawTransaction=fails(HangUp()))) as urls, pytest.raises(NotMinedError) as lost:
        sender(client(*urls)).send(POOL, "0x")
    assert lost.value.transaction.startswith("0x")
    with (
        serving(paying(eth_sendRawTransaction=fails(Status(429)))) as urls,
        pytest.raises(UnavailableError, match="429"),
    ):
        sender(client(*urls)).send(POOL, "0x")


def test_gas_nonce_and_price_come_from_one_endpoint() -> None:
    first = paying(eth_getTransactionCount=fails(HangUp()))
    second = paying(eth_getTransactionCount=lambda *_: "0x9")
    with serving(first, second) as urls:
        sender(client(*urls)).send(POOL, "0x")
    raw = sent(first, second)
    assert len(raw) == 1
    assert {"eth_estimateGas", "eth_getTransactionCount", "eth_maxPriorityFeePerGas"} <= set(second.methods())


@pytest.mark.parametrize("answer", [None, "0xzz", {"baseFeePerGas": []}])
def test_an_answer_of_no_known_form_is_the_nodes_error_and_no_traceback(answer: object) -> None:
    names = ("eth_estimateGas", "eth_getBlockByNumber", "eth_maxPriorityFeePerGas", "eth_getTransactionCount")
    for name in names:
        odd = paying(**{name: lambda *_: answer})
        with serving(odd) as urls, pytest.raises(RpcError):
            sender(client(*urls)).send(POOL, "0x")
        assert sent(odd) == [], name


# What must not get out


def test_keys_in_urls_are_in_no_message_and_no_traceback() -> None:
    url = "http://user:secret-name@127.0.0.1:9/v2/secret-path?key=secret-query"
    shown = [repr(Endpoint(url))]
    for work in (lambda: connect(url), lambda: connect([url, url]), lambda: connect("ftp://secret-host/secret-path")):
        with pytest.raises(RpcError) as raised:
            work()
        shown += [str(raised.value), *traceback.format_exception(raised.value)]
    answering = Node(eth_blockNumber=fails(Status(404)))
    with serving(answering) as (plain,):
        with pytest.raises(RpcError) as raised, rpc_errors():
            client(plain + "/secret-path").eth.block_number  # noqa: B018
        shown.append(str(raised.value))
    assert "secret" not in "".join(line for line in shown if 'url = "' not in line and "connect(" not in line)
    assert "127.0.0.1:9" in shown[0]


def test_a_node_cannot_have_this_program_fetch_a_url() -> None:
    """EIP-3668: web3 would follow a revert that names one, with a connection of its own, around any proxy."""
    fetched = Node()
    with serving(fetched) as (url,):
        # OffchainLookup(sender, [url], callData, callback, extraData)
        data = (
            "0x556f1830"
            + Web3()
            .codec.encode(
                ["address", "string[]", "bytes", "bytes4", "bytes"], [POOL, [url + "/{data}"], b"\1", b"\1\2\3\4", b""]
            )
            .hex()
        )
        luring = Node(eth_call=fails(Refusal("execution reverted", 3, data)))
        with serving(luring) as (node,), pytest.raises(ContractLogicError):
            client(node).eth.call({"to": POOL, "data": HexBytes("0x")})
    assert fetched.asked == []


def test_each_endpoint_is_asked_and_one_that_hangs_only_once() -> None:
    good, dripping = Node(eth_blockNumber=lambda: "0x5"), Node(eth_blockNumber=fails(Drip()))
    refusing = Node(eth_blockNumber=fails(Refusal("no")))
    with serving(good, dripping, refusing) as urls:
        endpoints = [Endpoint(url, timeout) for url, timeout in zip(urls, (30.0, 0.05, 30.0), strict=True)]
        provider = FailoverProvider(endpoints, 30.0)
        provider.endpoints._clock = lambda: 0.0  # a machine that stands still for long ends no rest
        w3 = Web3(provider)

        def number() -> int:
            with rpc_errors():
                return int(w3.eth.block_number)

        for _ in range(3):
            assert on_each_endpoint(w3, number) == [(endpoints[0], 5)]
        assert on_one_endpoint(w3, lambda: (on_each_endpoint(w3, number), number())) == ([(endpoints[0], 5)], 5)
    assert dripping.methods() == ["eth_blockNumber"]
    assert on_each_endpoint(Web3(), lambda: 1) == []
