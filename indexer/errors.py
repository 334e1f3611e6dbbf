"""Everything that can end an indexer's work, or one request of it.

IndexerError
├── SettingsError     something is missing in the configuration, or wrong
├── EndpointsError    no JSON-RPC endpoint can be used now: the indexer tries again
├── StoreError        the database cannot be used
│   ├── WriterError   another indexer writes to the same database
│   └── DamagedError  what is in the database does not fit together
├── ArchiveError      an archive's file is damaged, or another pool's
└── HaltError         what the endpoints say does not lead to the contract's state: nothing more is written

While a chain is read, `chain.errors.RpcError` and `chain.errors.MismatchError` are raised about one endpoint.
"""


class IndexerError(Exception):
    """Base of all errors of this package; the message says what to do next."""


class SettingsError(IndexerError):
    pass


class EndpointsError(IndexerError):
    pass


class StoreError(IndexerError):
    pass


class WriterError(StoreError):
    pass


class DamagedError(StoreError):
    pass


class ArchiveError(IndexerError):
    pass


class HaltError(IndexerError):
    pass
