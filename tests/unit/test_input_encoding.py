"""Inputs on the wire: they come back as they went, and nothing ambiguous is read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import EncodingError
from protocol.field import R
from protocol.input_encoding import decode_inputs, encode_inputs

elements = st.integers(0, R - 1)
values = st.recursive(elements, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
inputs = st.dictionaries(st.text(max_size=10), values, max_size=4)


@given(inputs)
@settings(deadline=None)
def test_inputs_come_back_as_they_went(value):
    assert decode_inputs(encode_inputs(value)) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789.-eE \\u', max_size=60).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused_with_one_clear_error(data):
    try:
        decoded = decode_inputs(data)
    except EncodingError:
        return
    assert decode_inputs(encode_inputs(decoded)) == decoded


def test_numbers_are_decimal_strings():
    assert encode_inputs({"root": R - 1, "path": [0, (1, 2)]}) == b'{"root":"%d","path":["0",["1","2"]]}' % (R - 1)


def test_plain_json_integers_are_read_exactly():
    assert decode_inputs(b'{"a": %d, "b": [1, "2"]}' % (R - 1)) == {"a": R - 1, "b": [1, 2]}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "1",
        "null",
        "{",
        '{"a": 1, "a": 1}',
        '{"a": 1.0}',
        '{"a": 1e3}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": true}',
        '{"a": null}',
        '{"a": {"b": 1}}',
        '{"a": -1}',
        '{"a": "-1"}',
        '{"a": "01"}',
        '{"a": ""}',
        '{"a": " 1"}',
        '{"a": "0x10"}',
        '{"a": "1_000"}',
        '{"a": "١"}',
        json.dumps({"a": str(R)}),
        json.dumps({"a": R}),
        '{"a": "' + "9" * 5000 + '"}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 20 + "1" + "]" * 20 + "}",
        '{"a": ' + "[" * 200_000,
    ],
)
def test_what_is_not_a_field_element_or_an_array_is_refused(document):
    with pytest.raises(EncodingError) as raised:
        decode_inputs(document.encode())
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("value", [R, -1, True, 1.0, "1", None, b"1", [[R]]])
def test_what_is_not_a_field_element_is_not_written(value):
    with pytest.raises(EncodingError, match="input a"):
        encode_inputs({"a": value})


def test_messages_name_the_signal_and_hold_no_value():
    secret = str(R + 123456789)
    with pytest.raises(EncodingError, match="inBlinding") as raised:
        decode_inputs(json.dumps({"inBlinding": [secret]}).encode())
    assert secret not in str(raised.value)
