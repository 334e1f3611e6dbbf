"""Every way in which a relayer can answer no: the stable code, its HTTP status, and what it means."""

from typing import NamedTuple


class Refusal(NamedTuple):
    status: int
    meaning: str


REFUSALS: dict[str, Refusal] = {
    "malformed": Refusal(400, "the request cannot be read"),
    "bad-quote": Refusal(400, "the quote is not this relayer's, or for another kind of payment"),
    "deadline": Refusal(400, "the payment ends too soon to be mined"),
    "underpaid": Refusal(402, "fee, token, relayer or note are not those of the quote, or gas rose beyond the fee"),
    "kind": Refusal(404, "this relayer takes no fee paid with a note, or its pool no spend of 8 notes"),
    "token": Refusal(404, "no price for that token"),
    "unknown": Refusal(404, "no such payment"),
    "expired": Refusal(410, "the quote is over: ask again, build and prove again"),
    "too-large": Refusal(413, "the request cannot be read"),
    "refused": Refusal(422, "the pool would refuse it; the detail has the pool's reason"),
    "too-often": Refusal(429, "this address asks too often: wait for the seconds in Retry-After"),
    "node": Refusal(502, "the relayer's node fails"),
    "busy": Refusal(503, "too much under way, for this token or at all"),
    "unfunded": Refusal(503, "the relayer's account has too little ether for more gas"),
    "stopping": Refusal(503, "the relayer is about to stop"),
    "internal": Refusal(500, "an error of the relayer's"),
}
