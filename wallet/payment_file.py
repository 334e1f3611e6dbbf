"""A payment described in a file, for whom the command line and its history are too public a place.

    {"to": "gelap1...", "token": "0x...", "amount": "12.5", "text": "for lunch"}

`to` is a Gelap address for `send` and an EVM address for `withdraw`; `amount` is text or a whole number, in the unit
that --decimals says; `text` may be left out, and belongs to `send` alone.
"""

from dataclasses import dataclass

from chain.http import parse_json
from wallet.errors import RequestError

_FIELDS = {"to", "token", "amount", "text"}


@dataclass(frozen=True)
class PaymentRequest:
    to: str
    token: str
    amount: str
    text: str = ""


def read_payment(document: str) -> PaymentRequest:
    """Raises RequestError, which repeats nothing of the document."""
    try:
        content = parse_json(document.encode())
    except ValueError:
        raise RequestError('a payment file is JSON such as {"to": "...", "token": "0x...", "amount": "5"}') from None
    if not isinstance(content, dict) or not {"to", "token", "amount"} <= content.keys() <= _FIELDS:
        raise RequestError("a payment file has the fields to, token and amount, and maybe text, and no others")
    amount = content["amount"]
    if type(amount) is int:  # neither true, which is an int too, nor 0.1, which is not what it says
        amount = str(amount)
    fields = (content["to"], content["token"], amount, content.get("text", ""))
    if not all(isinstance(field, str) for field in fields):
        raise RequestError('in a payment file to, token and text are text, and so is an amount with a point: "0.5"')
    return PaymentRequest(*fields)
