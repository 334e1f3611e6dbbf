"""A payment from a file: exactly what it says, or one clear error that repeats nothing of it."""

import json

import pytest

from wallet.errors import RequestError
from wallet.payment_file import PaymentRequest, read_payment

GOOD = {"to": "gelap1somebody", "token": "0x01", "amount": "12.50"}


def test_a_payment_is_what_the_file_says() -> None:
    assert read_payment(json.dumps(GOOD)) == PaymentRequest("gelap1somebody", "0x01", "12.50")
    whole = read_payment(json.dumps(GOOD | {"amount": 10**30, "text": "für dich"}))
    assert (whole.amount, whole.text) == ("1" + 30 * "0", "für dich")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "secret",
        "[]",
        "null",
        "[" * 100_000,
        json.dumps({"to": "secret"}),
        json.dumps(GOOD | {"note": "secret"}),
        json.dumps(GOOD | {"amount": 12.5}),
        json.dumps(GOOD | {"amount": True}),
        json.dumps(GOOD | {"amount": None}),
        json.dumps(GOOD | {"to": 5}),
        json.dumps(GOOD | {"text": ["secret"]}),
    ],
)
def test_anything_else_is_refused_without_being_repeated(document: str) -> None:
    with pytest.raises(RequestError, match="payment file") as refused:
        read_payment(document)
    assert "secret" not in str(refused.value)
