"""What a query may cost, known before it runs: how deep it is, how many values it can give, how often it reads.

A page counts with all of the rows that it may have, and everything below a row as often as there can be rows; fragments
count where they are spread. An introspection is measured by the schema's own size.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_argument_values,
    get_named_type,
)
from graphql.execution.values import VariableValues

MAX_DEPTH = 8
MAX_VALUES = 10_000
MAX_READS = 12
# Rows of one page.
MAX_ROWS = 500
# Values of an introspection, which come from memory: the usual queries take a fifth of it.
MAX_INTROSPECTION = 50_000
MAX_INTROSPECTION_DEPTH = 16
_VALUES_A_REQUEST = 1_000


class Cost(NamedTuple):
    """At most so many values, from so many questions to the database."""

    values: int
    reads: int

    @property
    def requests(self) -> int:
        """How many requests for a page it counts as."""
        return 1 + self.values // _VALUES_A_REQUEST + self.reads


@dataclass
class _Meter:
    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: VariableValues
    chains: int
    values: int = 0
    introspected: int = 0
    reads: int = 0

    def selections(self, node: SelectionSetNode, parent: Any, depth: int, times: int, rows: int) -> None:
        for each in node.selections:
            if isinstance(each, FieldNode):
                self.field(each, parent, depth, times, rows)
                continue
            # Spreads within spreads can double at every step: each counts, so that the meter ends.
            self.count(1)
            if isinstance(each, InlineFragmentNode):
                self.selections(each.selection_set, parent, depth, times, rows)
            elif isinstance(each, FragmentSpreadNode):
                self.selections(self.fragments[each.name.value].selection_set, parent, depth, times, rows)

    def field(self, node: FieldNode, parent: Any, depth: int, times: int, rows: int) -> None:
        name = node.name.value
        if name in ("__schema", "__type"):
            self.introspection(node, 1, 1)
            return
        if depth > MAX_DEPTH:
            raise GraphQLError(f"the query is too deep: fields are at most {MAX_DEPTH} deep")
        definition = parent.fields.get(name) if isinstance(parent, GraphQLObjectType) else None
        if definition is None:
            self.count(times)
            return
        if name == "chains":
            times *= self.chains
        elif name == "nodes":
            times *= rows
        if "first" in definition.args:
            rows = max(1, min(MAX_ROWS, get_argument_values(definition, node, self.variables)["first"]))
            self.reads += times
        elif name in ("chains", "pool", "root"):
            self.reads += times
        self.count(times)
        if self.reads > MAX_READS:
            raise GraphQLError(f"the query reads too often: at most {MAX_READS} pages, pools and roots in one query")
        if node.selection_set is not None:
            self.selections(node.selection_set, get_named_type(definition.type), depth + 1, times, rows)

    def count(self, times: int) -> None:
        self.values += times
        if self.values > MAX_VALUES:
            raise GraphQLError(f"the query may give more than {MAX_VALUES} values: ask for smaller pages")

    def introspection(
        self, node: FieldNode | FragmentDefinitionNode | InlineFragmentNode, depth: int, times: int
    ) -> None:
        self.introspected += times
        if depth > MAX_INTROSPECTION_DEPTH or self.introspected > MAX_INTROSPECTION:
            raise GraphQLError("the introspection is too large: ask for less of the schema at once")
        for each in node.selection_set.selections if node.selection_set is not None else ():
            if isinstance(each, FieldNode):
                self.introspection(each, depth + 1, times * _SIZES.get(each.name.value, 1))
            elif isinstance(each, InlineFragmentNode):
                self.introspection(each, depth, times)
            elif isinstance(each, FragmentSpreadNode):
                self.introspection(self.fragments[each.name.value], depth, times)


# Lists of an introspection, and how long they are in this schema on average.
_SIZES = {"types": 30, "fields": 6, "inputFields": 2, "args": 2, "enumValues": 4, "directives": 6, "interfaces": 1}


def measure(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: VariableValues,
    chains: int,
) -> Cost:
    """What a valid query can cost at most on a server of so many chains. Raises GraphQLError above the limits."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    meter = _Meter(schema, fragments, variables, chains)
    meter.selections(operation.selection_set, schema.query_type, 1, 1, 1)
    return Cost(meter.values + meter.introspected, meter.reads)
