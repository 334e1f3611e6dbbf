"""What can be asked of the analytics: types, arguments, and how numbers and bytes are written.

The only arguments are a chain, a page, a period and a time. There is none for a commitment, a nullifier, an address, a
transaction or a block, and commitments, memos and nullifiers are in no answer: whoever could ask for one of them would
tell whose it is.
"""

from typing import Any

from graphql import GraphQLScalarType, GraphQLSchema, build_schema

SDL = '''
"""A whole number below 2^63."""
scalar Long
"""A whole number of up to 256 bits, or a sum of such, in decimal digits."""
scalar Amount
"""20 bytes: 0x and 40 hexadecimal digits."""
scalar Address
"""32 bytes: 0x and 64 hexadecimal digits."""
scalar Word

"""Whole hours, days, and weeks from Monday to Sunday, in UTC."""
enum Period { HOUR DAY WEEK }

type Query {
  """All chains that are served."""
  chains: [Pool!]!
  """The pool on one chain, given by name or id; where only one is served, it need not be named."""
  pool(chain: String): Pool!
}

"""The pool on one chain, as far as it is indexed. Everything in one answer is of one state of the database."""
type Pool {
  chain: String!
  chainId: Long!
  address: Address!
  firstBlock: Long!
  """The newest block that is indexed."""
  tip: Block
  root: Word!
  totals: Totals!
  """
  The totals at the end of each period, oldest first, from the pool's first event or the period of the time `since` on.
  A page covers `first` periods; those in which nothing happened are left out.
  """
  history(period: Period! = DAY, since: Long, first: Int! = 100, after: String): HistoryPage!
  """Withdrawals in the order of the chain."""
  withdrawals(first: Int! = 100, after: String): WithdrawalPage!
  """
  Withdrawals summed up by period and token, for all tokens, oldest first. A page has `first` rows and covers `first`
  periods, at most.
  """
  withdrawalTotals(period: Period! = DAY, since: Long, first: Int! = 100, after: String): WithdrawalTotalPage!
  """Tree updates with the root after each, in order."""
  batches(first: Int! = 100, after: String): BatchPage!
}

type Block {
  number: Long!
  """Seconds since 1970."""
  timestamp: Long!
  hash: Word!
}

type Totals {
  """Commitments ever queued."""
  commitments: Long!
  """Those of them that wait for the tree."""
  pending: Long!
  batches: Long!
  """Leaves used up, the empty ones of short batches included."""
  leavesUsed: Long!
  """The used part of the tree, 0 to 1."""
  treeUsedRatio: Float!
  """Notes spent."""
  nullifiers: Long!
  withdrawals: Long!
}

type PageInfo {
  hasNextPage: Boolean!
  """For `after`, to get what comes next; null when nothing does now."""
  endCursor: String
}

type HistoryPage { nodes: [Snapshot!]! pageInfo: PageInfo! }
type WithdrawalPage { nodes: [Withdrawal!]! pageInfo: PageInfo! }
type WithdrawalTotalPage { nodes: [WithdrawalTotal!]! pageInfo: PageInfo! }
type BatchPage { nodes: [Batch!]! pageInfo: PageInfo! }

type Snapshot {
  """When the period began, in seconds since 1970."""
  start: Long!
  totals: Totals!
}

type Withdrawal {
  number: Long!
  receiver: Address!
  token: Address!
  """What the receiver got, in the token's smallest unit."""
  amount: Amount!
  block: Block!
  transactionHash: Word!
}

type WithdrawalTotal {
  """When the period began, in seconds since 1970."""
  start: Long!
  token: Address!
  withdrawals: Long!
  amount: Amount!
  """How many different addresses got something."""
  receivers: Long!
}

type Batch {
  number: Long!
  startIndex: Long!
  """Leaves that are commitments; the rest of the 64 stay empty."""
  size: Int!
  """`size` of 64."""
  fill: Float!
  root: Word!
  block: Block!
  transactionHash: Word!
}
'''


def make_schema() -> GraphQLSchema:
    schema = build_schema(SDL)
    _scalar(schema, "Long").coerce_output_value = int
    _scalar(schema, "Long").coerce_input_value = _time
    _scalar(schema, "Amount").coerce_output_value = str
    for name in ("Address", "Word"):
        _scalar(schema, name).coerce_output_value = _hex
    return schema


def _scalar(schema: GraphQLSchema, name: str) -> GraphQLScalarType:
    found = schema.type_map[name]
    assert isinstance(found, GraphQLScalarType)
    return found


def _time(value: Any) -> int:
    """The only Long that is an argument."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ValueError("a time is a whole number of seconds since 1970")
    return value


def _hex(value: Any) -> str:
    return "0x" + bytes(value).hex()
