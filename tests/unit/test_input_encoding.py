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
names = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}", fullmatch=True)
inputs = st.dictionaries(names, values, max_size=4)


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


@pytest.mark.parametrize("name", ["", "1234567", "a" * 65, "a b", "root\n", "ünicode", "[0]"])
def test_what_cannot_be_a_signals_name_is_refused_and_not_repeated(name):
    """Messages go into Redis and logs in the clear: a value that got into a name's place must not come along."""
    with pytest.raises(EncodingError, match="name is 1 to 64 letters") as raised:
        decode_inputs(json.dumps({name: ["1"]}).encode())
    assert "1234567" not in str(raised.value)
    assert len(str(raised.value)) < 200
    with pytest.raises(EncodingError, match="name is 1 to 64 letters"):
        encode_inputs({name: [1]})


@pytest.mark.parametrize("name", ["root", "_", "$in", "main.inPath", "a" * 64])
def test_names_of_circom_are_read(name):
    assert decode_inputs(encode_inputs({name: 1})) == {name: 1}
