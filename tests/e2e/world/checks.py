"""The sums that must agree everywhere, each from its own source."""

from collections import Counter
from pathlib import Path

from hexbytes import HexBytes

from chain.events import TOPIC_NULLIFIER, TOPIC_QUEUED, TOPIC_UPDATED, TOPIC_WITHDRAW
from chain.stream.source import IndexerSource
from protocol.merkle import DEPTH, ZEROS
from protocol.poseidon import poseidon
from tests.e2e.world.model import Entry
from tests.e2e.world.people import Person, everyone
from tests.e2e.world.setting import WAIT_SECONDS, World
from wallet.store import HistoryEntry
from wallet.wallet import Wallet

PAGE = 1000


def everything_agrees(world: World) -> None:
    """Move all that waits into the tree, then compare everybody's view."""
    world.look()
    world.flush()
    assert world.direct.pending_count() == 0
    sums_agree(world)
    if world.indexer_url is not None:
        indexed_tree(world)
    everyone(world.everybody, lambda person: wallet_agrees(world, person.name, person.wallet))


def sums_agree(world: World) -> None:
    """Tokens, events and balances, as they are while some commitments still wait for the tree."""
    world.look()
    world.wait_for_indexer()
    public_sums(world)
    counts(world)
    everyone(world.everybody, lambda person: balances_agree(world, person))


def balances_agree(world: World, person: Person) -> None:
    """A wallet, synchronised, holds what the model says, spendable or not."""
    person.sync()
    for token in world.tokens:
        expected, found = world.model.balance(person.name, token.address), person.wallet.balance(token.address)
        assert found.total == expected, f"{person.name} has {found} of {token.address}, the model {expected}"


def public_sums(world: World) -> None:
    """Balances of token contracts: the pool's, the relayer's fees, what was paid out, what is left to payers."""
    for token in world.tokens:
        assert token.balance_of(world.where.pool) == world.model.in_pool(token.address), token.address
    expected = world.model.public_balances()
    for (holder, address), amount in expected.items():
        (token,) = [each for each in world.tokens if each.address == address]
        assert token.balance_of(holder) == amount, f"{holder} should have {amount} of {address}"


def counts(world: World) -> None:
    """Events in the chain's own logs = the model = the indexer's rows, where it runs."""
    expected = world.model.counts()
    logs = world.w3.eth.get_logs({"address": world.direct.address, "fromBlock": 0, "toBlock": "latest"})
    seen = Counter(bytes(log["topics"][0]) for log in logs)
    on_chain = {
        "commitments": seen[TOPIC_QUEUED],
        "nullifiers": seen[TOPIC_NULLIFIER],
        "withdrawals": seen[TOPIC_WITHDRAW],
    }
    assert on_chain == expected
    if world.indexer_url is not None:
        status = world.indexer("/v1/status")
        assert {name: status[name] for name in expected} == expected


def indexed_tree(world: World) -> None:
    """Nothing waits: the indexer's tree updates, next leaf and root are the contract's, and a tree of its leaves,
    hashed here node by node, has that root.
    """
    status, contract = world.indexer("/v1/status"), world.direct
    updates = world.w3.eth.get_logs(
        {"address": contract.address, "fromBlock": 0, "toBlock": "latest", "topics": [HexBytes(TOPIC_UPDATED)]}
    )
    assert status["batches"] == len(updates)
    assert status["next_leaf_index"] == contract.next_leaf_index() == 64 * len(updates)
    assert status["pending"] == 0
    assert int(status["root"], 16) == contract.merkle_root()
    leaves: dict[int, int] = {}
    positions = []
    following: int | None = 0
    while following is not None:
        page = world.indexer("/v1/leaves", **{"from": str(following), "limit": str(PAGE)})
        for leaf in page["leaves"]:
            leaves[leaf["leaf_index"]] = int(leaf["commitment"], 16)
            positions.append(leaf["position"])
        following = page["next"] if page["leaves"] and page["next"] < page["next_leaf_index"] else None
    assert positions == list(range(world.model.counts()["commitments"]))
    assert plain_root(leaves) == contract.merkle_root()


def plain_root(leaves: dict[int, int]) -> int:
    """The root of a tree with these leaves, everything else empty."""
    nodes = leaves
    for level in range(DEPTH):
        nodes = {
            parent: poseidon([nodes.get(2 * parent, ZEROS[level]), nodes.get(2 * parent + 1, ZEROS[level])])
            for parent in {index >> 1 for index in nodes}
        }
    return nodes.get(0, ZEROS[DEPTH])


def wallet_agrees(world: World, name: str, wallet: Wallet) -> None:
    """A wallet's balances, notes, root and history are the model's, and its history adds up to its balance."""
    world.wait_for_indexer()
    wallet.sync()
    assert wallet.root == world.direct.merkle_root(), name
    entries = [_entry(name, found) for found in wallet.history()]
    assert Counter(entries) == world.model.history(name)
    for token in world.tokens:
        address = token.address
        expected, found = world.model.balance(name, address), wallet.balance(address)
        assert (found.total, found.pending) == (expected, 0), f"{name}: {found} of {address}, the model {expected}"
        unspent = [note for note in wallet.notes() if note.spent_transaction is None]
        assert sum(note.note.amount for note in unspent if note.note.token == int(address, 16)) == expected
        assert sum(entry.change for entry in entries if entry.token == address) == expected


def commands_agree(world: World, person: Person, name: str) -> None:
    """The same as `gelap wallet balance` and `history` tell it."""
    told = person.command("balance")["result"]["tokens"]
    history = person.command("history")["result"]["history"]
    for token in world.tokens:
        total = int(told.get(token.address, {"total": "0"})["total"])
        assert total == world.model.balance(name, token.address)
    found = Counter(
        Entry(name, row["kind"], row["token"], int(row["amount"]), int(row["fee"]), row["counterparty"], row["text"])
        for row in history
    )
    assert found == world.model.history(name)


def reading_anew_agrees(world: World, person: Person, folder: Path) -> None:
    """Wallets without a spending key, read anew from the node and from the indexer's stream, both see the same."""
    for name, url in (("node", None), ("indexer", world.indexer_url)):
        source = None if url is None else IndexerSource(url, world.where.chain_id, world.where.pool)
        path = folder / f"{person.name}-from-{name}.db"
        with Wallet(path, person.account.viewing(), pool=world.direct, source=source) as wallet:
            wallet_agrees(world, person.name, wallet)


def nothing_is_left_behind(world: World) -> None:
    """When every deadline has passed no note is held back by a payment, and the relayer knows what it settled."""
    waiting = [
        payment for found in everyone(world.people, lambda person: person.wallet.payments()) for payment in found
    ]
    latest = max((payment.deadline for payment in waiting), default=0)
    world.pass_time(max(latest - world.direct.now(), 0) + 1)
    everyone(world.people, lambda person: _nothing_held_back(world, person))
    given = world.given_to_relayer()
    with world.relayer() as relayer:
        for effect in world.model.settled:
            if effect.transaction in given:
                assert relayer.wait(given[effect.transaction], WAIT_SECONDS, 0.1).state == "settled", effect


def _nothing_held_back(world: World, person: Person) -> None:
    person.sync()
    assert person.wallet.payments() == []
    for token in world.tokens:
        found = person.wallet.balance(token.address)
        assert (found.spendable, found.reserved) == (found.total, 0)


def _entry(name: str, found: HistoryEntry) -> Entry:
    return Entry(name, found.kind, found.token, found.amount, found.fee, found.counterparty, found.text)
