"""A server reads as much as it said it would, and waits no longer than that."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from gelap.request_body import BodyError, read_body


def body_of(*messages, most=10, seconds=60.0):
    """What is read of these messages; nothing comes after them."""
    waiting = list(messages)

    async def receive():
        if waiting:
            return waiting.pop(0)
        return await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    return asyncio.run(read_body(request, most, seconds)), waiting


def part(data, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


def test_parts_are_put_together():
    assert body_of(part(b"12345"), part(b""), part(b"67890", more=False)) == (b"1234567890", [])
    assert body_of(part(b"", more=False)) == (b"", [])


def test_one_byte_too_many_is_refused_before_the_rest_is_read():
    with pytest.raises(BodyError) as refusal:
        body_of(part(b"12345"), part(b"678901"), part(b"x" * 100))
    assert refusal.value.too_long


def test_a_caller_who_sends_nothing_more_is_not_waited_for():
    with pytest.raises(BodyError) as refusal:
        body_of(part(b"12345"), seconds=0.01)
    assert not refusal.value.too_long


def test_a_caller_who_goes_is_no_error_of_the_body():
    with pytest.raises(ClientDisconnect):
        body_of(part(b"1"), {"type": "http.disconnect"})
