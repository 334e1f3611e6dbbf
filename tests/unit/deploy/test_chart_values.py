"""values.schema.json says what values.yaml and the commands say."""

import jsonschema
import pytest

from indexer.chains import PRESETS
from indexer.config import MAX_CHAINS, _ChainTable
from tests.unit.deploy.charts import SCHEMA, VALUES
from tests.unit.deploy.commands import options_of


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def resolved(schema):
    if "$ref" in schema:
        return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def unlike(values, schema, place=""):
    """The places where values.yaml has other names than the schema; free maps are not looked into."""
    schema = resolved(schema)
    if schema.get("additionalProperties") is not False:
        return []
    names = set(schema["properties"]) - ({"global"} if not place else set())
    found = [f"{place}.{name}" for name in names ^ set(values)]
    for name in names & set(values):
        if isinstance(values[name], dict) and values[name]:
            found += unlike(values[name], schema["properties"][name], f"{place}.{name}")
    return found


def test_values_and_schema_have_the_same_names():
    # The options of a command are all allowed, and few are given.
    assert [place for place in unlike(VALUES, SCHEMA) if ".options" not in place] == []
    for pool in VALUES["workerPools"].values():
        assert unlike(pool, SCHEMA["definitions"]["workerPool"]) == []


@pytest.mark.parametrize("command", ["relayer", "sequencer"])
def test_the_options_of_the_schema_are_those_of_the_command(command):
    allowed = SCHEMA["properties"][command]["properties"]["options"]["properties"]
    options = options_of(command)
    for name, schema in allowed.items():
        kind = {int: "integer", float: "number"}[options[name].kind]
        assert schema == {"type": kind, "minimum": options[name].least}, name
    # Whatever else is a number has a value of its own in the chart.
    numbers = {name for name, option in options.items() if option.kind in (int, float)}
    assert numbers - set(allowed) == {"relayer": {"drain"}, "sequencer": {"deployed-at"}}[command]


def test_chains_are_those_of_the_indexers_file():
    chains = SCHEMA["properties"]["indexer"]["properties"]["chains"]
    assert set(chains["properties"]) == set(PRESETS)
    assert chains["maxProperties"] == MAX_CHAINS
    for name in ("chain", "knownChain"):
        # Endpoints' URLs hold keys: they are in a Secret.
        assert set(SCHEMA["definitions"][name]["properties"]) == set(_ChainTable.model_fields) - {"rpc_urls"}
