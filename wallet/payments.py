"""Payments on their way: what a wallet must still know of them after a crash."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from chain.pool import Spend as SpendCall
from chain.relayer.quote import Kind

PREPARED, PROVED = "prepared", "proved"


@dataclass(frozen=True)
class Handover:
    """The relayer that a payment was given to: its host, its EVM address, and the kind of its quote."""

    name: str
    relayer: str
    kind: Kind


@dataclass(frozen=True)
class Payment:
    """A payment that was signed and is not known to be settled.

    `kind` is "send", "withdraw" or "consolidate"; `amount` and `fee` are in the token's smallest unit; `nullifiers`
    are those of the real notes it takes. Until `deadline` (block time, seconds since 1970) whoever has `call` can
    settle it as it is; `call` is there once it is proved, that is, from before it is first sent. `handover` says who
    was to send it: None for this wallet's own account.
    """

    kind: str
    token: str
    amount: int
    fee: int
    counterparty: str
    deadline: int
    nullifiers: tuple[int, ...] = field(repr=False)
    call: SpendCall | None = field(default=None, repr=False)
    handover: Handover | None = None

    @property
    def stage(self) -> str:
        """PREPARED before the proof, PROVED afterwards, whether or not it was sent."""
        return PREPARED if self.call is None else PROVED

    def proved(self, call: SpendCall, handover: Handover | None = None) -> "Payment":
        return replace(self, call=call, handover=handover)

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "kind": self.kind,
            "token": self.token,
            "amount": hex(self.amount),
            "fee": hex(self.fee),
            "counterparty": self.counterparty,
            "deadline": self.deadline,
            "nullifiers": [hex(nullifier) for nullifier in self.nullifiers],
            "call": None if self.call is None else _call_row(self.call),
            "handover": None if self.handover is None else asdict(self.handover),
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Payment":
        return cls(
            kind=row["kind"],
            token=row["token"],
            amount=int(row["amount"], 16),
            fee=int(row["fee"], 16),
            counterparty=row["counterparty"],
            deadline=row["deadline"],
            nullifiers=tuple(int(text, 16) for text in row["nullifiers"]),
            call=None if row["call"] is None else _call(row["call"]),
            # Files of before there were relayers have none.
            handover=Handover(**row["handover"]) if row.get("handover") else None,
        )


def _call_row(call: SpendCall) -> dict[str, Any]:
    return {
        "proof": call.proof.hex(),
        "root": hex(call.root),
        "nullifiers": [hex(each) for each in call.nullifiers],
        "commitments": [hex(each) for each in call.commitments],
        "public_token": hex(call.public_token),
        "public_amount": hex(call.public_amount),
        "receiver": call.receiver,
        "relayer": call.relayer,
        "fee": hex(call.fee),
        "deadline": call.deadline,
        "memos": [memo.hex() for memo in call.memos],
    }


def _call(row: dict[str, Any]) -> SpendCall:
    return SpendCall(
        proof=bytes.fromhex(row["proof"]),
        root=int(row["root"], 16),
        nullifiers=[int(each, 16) for each in row["nullifiers"]],
        commitments=[int(each, 16) for each in row["commitments"]],
        public_token=int(row["public_token"], 16),
        public_amount=int(row["public_amount"], 16),
        receiver=row["receiver"],
        relayer=row["relayer"],
        fee=int(row["fee"], 16),
        deadline=row["deadline"],
        memos=[bytes.fromhex(memo) for memo in row["memos"]],
    )
