"""Finds what concerns an account in the pool's events.

Every memo is tried with the viewing key and checked against its commitment, so a false or broken memo is simply not
ours. Notes are told apart by their queue position: the same commitment queued twice is two notes, each spendable.
Spends are recognised by their nullifiers, which exist once a note has its place in the tree.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from eth_utils import to_checksum_address

from chain.events import AccountUpdated, CommitmentQueued, NullifierUsed, Origin, PoolEvent
from chain.tree import PoolTree
from protocol.keys import FullViewingKey
from protocol.memo import MemoOpener, Opened, SentRecord
from protocol.note import Note
from wallet.notes import NoteManager
from wallet.store import HistoryEntry, Store, StoredNote, token_text

ADDRESS_GAP = 20
"""So many addresses beyond the last issued one are recognised, for wallets restored from their mnemonic."""


Sealed = tuple[bytes, int]
"""A memo and the commitment it came with."""

OpenMemos = Callable[[bytes, Sequence[Sealed]], Sequence[Opened | None]]
"""Tries a viewing key on many memos; None for those that are not ours."""


def open_memos(viewing_key: bytes, memos: Sequence[Sealed]) -> list[Opened | None]:
    """Try every memo in this thread; `wallet.trial` does it in several processes."""
    opener = MemoOpener(viewing_key)
    return [opener.open(memo, commitment) for memo, commitment in memos]


@dataclass(frozen=True)
class _Found:
    """One of our notes as it was queued."""

    origin: Origin
    stored: StoredNote
    opened: Opened

    @property
    def amount(self) -> int:
        return self.stored.note.amount

    @property
    def to_oneself(self) -> bool:
        return self.stored.address_index is None

    @property
    def record(self) -> SentRecord | None:
        """What this note says about the payment beside it: believed only in a note that only we can have made."""
        return SentRecord.from_text(self.opened.text) if self.to_oneself else None

    @property
    def payer(self) -> str:
        """The EVM account that a deposit of ours came from; empty where its memo does not say."""
        record = self.record
        if record is None or record.recipient.owner or record.amount:
            return ""
        return to_checksum_address(record.recipient.viewing_public[-20:])


class Scanner:
    """Writes an account's notes and history into its store, page by page."""

    def __init__(self, keys: FullViewingKey, store: Store, open_memos: OpenMemos = open_memos) -> None:
        self._keys = keys
        self._store = store
        self._notes = NoteManager(keys, store)
        self._open_memos = open_memos
        self._owners: dict[int, int] = {}

    def apply(self, tree: PoolTree, events: Iterable[PoolEvent]) -> None:
        """Take the next events, all of whole transactions; call it inside the store's transaction.

        `tree` is moved along. Raises MismatchError when the events do not fit it: roll the store back and drop the
        tree then.
        """
        events = list(events)
        queued = [event for event in events if isinstance(event, CommitmentQueued)]
        sealed = [(event.memo, event.commitment) for event in queued]
        # All at once, before anything else: trying memos is most of the work, and depends on nothing but the key.
        tried = self._open_memos(self._keys.viewing_key, sealed) if sealed else []
        opened = {event.position: found for event, found in zip(queued, tried, strict=True) if found is not None}
        for _, group in groupby(events, key=lambda event: event.origin.transaction_hash):
            self._apply_transaction(tree, list(group), opened)

    def _apply_transaction(self, tree: PoolTree, events: Sequence[PoolEvent], opened: Mapping[int, Opened]) -> None:
        spent: list[StoredNote] = []
        found: list[_Found] = []
        for event in events:
            batch = tree.apply(event)
            if batch is not None and isinstance(event, AccountUpdated):
                self._store.add_batch(batch, event.root)
                self._notes.place(batch)
            elif isinstance(event, CommitmentQueued):
                self._store.add_commitment(event.position, event.commitment)
                memo = opened.get(event.position)
                note = None if memo is None else self._recognise(event, memo)
                if note is not None:
                    self._notes.add(note.stored)
                    found.append(note)
            elif isinstance(event, NullifierUsed):
                stored = self._notes.mark_spent(event.nullifier, event.origin.transaction_hash)
                if stored is not None:
                    spent.append(stored)
        if spent:
            self._record_spend(events[0].origin, spent, found)
        self._record_receipts(found, spending=bool(spent))

    def _recognise(self, event: CommitmentQueued, opened: Opened) -> _Found | None:
        own = self._keys.owner(self._keys.nullifying_key_for_note(opened.blinding))
        note: Note | None = opened.note([own], event.commitment)
        index: int | None = None
        if note is None:
            self._extend_owners()
            note = opened.note(self._owners, event.commitment)
            if note is None:
                return None
            index = self._owners[note.owner]
            self._store.mark_issued(index)
        return _Found(event.origin, StoredNote(event.position, note, index), opened)

    def _extend_owners(self) -> None:
        for index in range(len(self._owners), self._store.next_address() + ADDRESS_GAP):
            self._owners[self._keys.owner(self._keys.nullifying_key_for_address(index))] = index

    def _record_receipts(self, found: list[_Found], spending: bool) -> None:
        for note in found:
            if note.to_oneself and spending:
                continue  # change, or the second output of a withdrawal
            self._add(
                note.origin,
                kind="deposited" if note.to_oneself else "received",
                token=note.stored.note.token,
                amount=note.amount,
                counterparty=note.payer if note.to_oneself else str(note.stored.address_index),
                text="" if note.payer else note.opened.message(),
            )

    def _record_spend(self, origin: Origin, spent: list[StoredNote], found: list[_Found]) -> None:
        token = spent[0].note.token
        outflow = sum(stored.note.amount for stored in spent) - sum(note.amount for note in found)
        records = [(note, record) for note in found if (record := note.record) is not None and record.amount]
        if not records:
            # Made by a program that leaves no record: the amounts still tell how much went away.
            self._add(origin, kind="sent", token=token, amount=max(outflow, 0))
        for note, record in records:
            kept = [other for other in found if other.stored.note.owner == record.recipient.owner]
            fee = outflow if kept else outflow - record.amount
            kind, counterparty = "sent", record.recipient.encode()
            if record.recipient.owner == 0:
                kind, counterparty = "withdrawn", to_checksum_address(record.recipient.viewing_public[-20:])
            elif any(other.to_oneself for other in kept):
                kind, counterparty = "merged", ""
            self._add(
                note.origin,
                kind=kind,
                token=note.stored.note.token,
                amount=record.amount,
                fee=max(fee, 0) if len(records) == 1 else 0,
                counterparty=counterparty,
            )

    def _add(
        self,
        origin: Origin,
        *,
        kind: str,
        token: int,
        amount: int,
        fee: int = 0,
        counterparty: str = "",
        text: str = "",
    ) -> None:
        self._store.add_history(
            HistoryEntry(
                kind=kind,
                token=token_text(token),
                amount=amount,
                fee=fee,
                counterparty=counterparty,
                text=text,
                block_number=origin.block_number,
                timestamp=origin.timestamp,
                transaction_hash=origin.transaction_hash,
                log_index=origin.log_index,
            )
        )
