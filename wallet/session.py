"""One run of `gelap wallet`: its options, its secrets, and the wallet they open."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils import is_address, to_checksum_address

from chain.pool import Pool
from chain.relayer.client import RelayerClient
from chain.stream.source import IndexerSource
from protocol.keys import FullViewingKey
from protocol.poseidon import hash_pairs
from wallet import advice, keystore, network
from wallet.asking import Asking
from wallet.errors import KeystoreError, RequestError, WalletFileError
from wallet.evm_keys import load_evm_key
from wallet.options import Options
from wallet.output import Output
from wallet.sources import Lag
from wallet.trial import TrialProcesses
from wallet.wallet import Wallet

KEYSTORE, CHAINS_FILE = "keystore.json", "chains.json"
_MANY_HASHES = 1_000


@dataclass(frozen=True)
class ChainEntry:
    """A chain that this wallet knows a pool on."""

    name: str
    chain_id: int
    pool: str
    deployed_at: int


class Session:
    """Opens what the options name, on first need. Errors are those of `wallet.exit_codes`."""

    def __init__(self, options: Options, output: Output) -> None:
        self.options = options
        self.output = output
        self.ask = Asking()

    @property
    def stderr_is_terminal(self) -> bool:
        return sys.stderr.isatty()

    # Keys

    @property
    def keystore_path(self) -> Path:
        return self.options.folder / KEYSTORE

    @cached_property
    def secrets(self) -> keystore.Secrets:
        if not self.keystore_path.exists():
            raise KeystoreError(
                f"there is no wallet in {self.options.folder}: make one with `gelap wallet init` or `import`"
            )
        passphrase = self.ask.secret(self.options.passphrase_file, "passphrase of the wallet", "--passphrase-file")
        return keystore.read(self.keystore_path, passphrase)

    @cached_property
    def keys(self) -> FullViewingKey:
        return self.secrets.keys()

    def create(self, content: keystore.Secrets) -> None:
        """Make the wallet's folder and keystore; refuses where there is one, before anything is asked."""
        if self.keystore_path.exists():
            raise KeystoreError(f"there is a wallet in {self.options.folder} already: choose another --wallet folder")
        passphrase = self.ask.secret(
            self.options.passphrase_file, "new passphrase of the wallet", "--passphrase-file", repeat=True
        )
        try:
            self.options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise KeystoreError(f"{self.options.folder} cannot be made: {error.strerror}") from None
        keystore.create(self.keystore_path, content, passphrase)

    @cached_property
    def evm_account(self) -> LocalAccount:
        """The account that pays for gas and deposits; RequestError when none is named."""
        if self.options.evm_key_file is None:
            raise RequestError(
                "an EVM account must pay for gas: give its key with --evm-key-file or GELAP_EVM_KEY_FILE"
            )
        return load_evm_key(self.ask, self.options.evm_key_file, self.options.evm_passphrase_file)

    # The chain

    def chains(self) -> dict[str, ChainEntry]:
        """The pools that were used before, by the name of their chain."""
        try:
            content = json.loads((self.options.folder / CHAINS_FILE).read_text(encoding="utf-8"))
            return {name: ChainEntry(name, **entry) for name, entry in content.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError):
            raise WalletFileError(
                f"{self.options.folder / CHAINS_FILE} cannot be read: delete it and give --pool again"
            ) from None

    def entry(self) -> ChainEntry:
        """The pool to use: as given, or as used before."""
        known, options = self.chains(), self.options
        name = options.chain or (next(iter(known)) if len(known) == 1 else "local")
        if name not in network.CHAINS:
            raise RequestError(f"{name!r} is no chain: {', '.join(network.CHAINS)}")
        if options.pool is None:
            if name not in known:
                raise RequestError(f"which pool on {name}? Give --pool ADDRESS --deployed-at BLOCK once")
            return known[name]
        if not is_address(options.pool):
            raise RequestError("--pool must be an EVM address: 0x and 40 hexadecimal digits")
        return ChainEntry(name, network.CHAINS[name], to_checksum_address(options.pool), options.deployed_at or 0)

    def open_pool(self, account: LocalAccount | None = None) -> Pool:
        """The pool, seen from `account`; a pool that was given and answers is remembered."""
        entry = self.entry()
        urls = [url for given in self.options.rpc_url or () for url in given.split()]
        if not urls:
            raise RequestError("which node? Set GELAP_RPC_URL or give --rpc-url")
        w3 = network.connect(urls, self.options.proxy, self.options.ca_file)
        pool = Pool(w3, entry.pool, account, entry.deployed_at)
        if pool.chain_id != entry.chain_id:
            raise RequestError(f"the node is on chain {pool.chain_id}, and {entry.name} is {entry.chain_id}")
        known = self.chains()
        if self.options.folder.is_dir() and known.get(entry.name) != entry:
            self._remember(known | {entry.name: entry})
        return pool

    def _remember(self, entries: dict[str, ChainEntry]) -> None:
        content = {
            name: {"chain_id": entry.chain_id, "pool": entry.pool, "deployed_at": entry.deployed_at}
            for name, entry in entries.items()
        }
        path = self.options.folder / CHAINS_FILE
        beside = path.with_name(path.name + ".new")  # a crash leaves the old file or the new one
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)

    @contextlib.contextmanager
    def open_wallet(
        self, account: LocalAccount | None = None, *, proving: bool = False, reading: bool = True
    ) -> Iterator[Wallet]:
        """The wallet on the chosen pool; `proving` sets a prover up, `reading` the indexer if there is one."""
        keys = self.keys
        prover = self.prover if proving else None
        pool = self.open_pool(account)
        confirmations = self.options.confirmations
        if confirmations is None:
            confirmations = network.CONFIRMATIONS.get(pool.chain_id, network.OTHER_CONFIRMATIONS)
        path = self.options.folder / f"{pool.chain_id}-{pool.address.lower()}.db"
        with (
            self._source(pool if reading else None) as source,
            TrialProcesses() as open_memos,
            Wallet(
                path,
                keys,
                pool=pool,
                prover=prover,
                hash_pairs=GrowingHash(),
                open_memos=open_memos,
                confirmations=confirmations,
                source=source,
                on_lag=self._say_lag,
            ) as wallet,
        ):
            yield wallet

    @contextlib.contextmanager
    def _source(self, pool: Pool | None) -> Iterator[IndexerSource | None]:
        """The indexer that --indexer names, for this pool; None where the node is to be read."""
        url = self.options.indexer
        if url is None or pool is None:
            yield None
            return
        with network.open_indexer(url, pool.chain_id, pool.address, self.options.proxy, self.options.ca_file) as source:
            if not network.is_own(url):
                if self.options.proxy is None:
                    self.output.warn(advice.indexer(source.name))
                if network.is_readable_on_the_way(url):
                    self.output.warn(advice.readable(source.name))
            yield source

    def _say_lag(self, lag: Lag) -> None:
        self.output.say(
            f"the indexer is {lag.blocks} blocks behind the node, {lag.seconds} seconds: what came since is not shown"
        )

    def relayer_url(self) -> str | None:
        """The relayer to hand payments to; None where --relayer is an EVM address, or not given."""
        given = self.options.relayer
        return None if given is None or is_address(given) else given

    def relayer(self) -> RelayerClient:
        """A client of the relayer that --relayer names by its URL."""
        url = self.relayer_url() or ""
        client = network.open_relayer(url, self.options.proxy, self.options.ca_file)
        if not network.is_own(url):
            if self.options.proxy is None:
                self.output.warn(advice.relayer(client.name))
            if network.is_readable_on_the_way(url):
                self.output.warn(advice.readable(client.name))
        return client

    @cached_property
    def prover(self) -> network.ChosenProver:
        from prover.keys import default_directory

        return network.ChosenProver(
            self.options.prover,
            key_directory=default_directory(),
            api_key=os.environ.get("GELAP_API_KEY"),  # a secret: there is no option for it
            fingerprint=self.options.prover_fingerprint,
            proxy=self.options.proxy,
            ca_file=self.options.prover_ca,
        )

    def sync(self, wallet: Wallet) -> int:
        """Synchronise, with a progress bar for people."""
        if self.output.quiet:
            return wallet.sync()
        from prover.progress import on_terminal

        with on_terminal("synchronising") as report:
            return wallet.sync(lambda done, total: report("blocks", done, total))

    def amount(self, text: str) -> int:
        """An amount in the token's smallest unit from text with at most --decimals digits after the point."""
        whole, _, fraction = text.partition(".")
        digits = whole + fraction.ljust(self.options.decimals, "0")
        if not digits.isascii() or not digits.isdigit() or len(fraction) > self.options.decimals or len(digits) > 60:
            raise RequestError(
                f"{text[:64]!r} is no amount: amounts are whole numbers of the token's smallest unit, or with "
                "--decimals N have up to N digits after the point"
            )
        return int(digits)

    def confirm(self, question: str) -> None:
        """Go on when somebody says yes, or --yes does; raises NotConfirmedError otherwise."""
        if not self.options.yes:
            self.ask.confirm(question)


class GrowingHash:
    """Hashes tree nodes in Python until there were many, then with the prover's kernels, which take a while to load."""

    def __init__(self) -> None:
        self._count = 0
        self._hash: Any = hash_pairs

    def __call__(self, pairs: list[tuple[int, int]]) -> list[int]:
        before, self._count = self._count, self._count + len(pairs)
        if before <= _MANY_HASHES < self._count:
            from prover.kernels.cpu.poseidon import hash_pairs as fast

            self._hash = fast
        hashed: list[int] = self._hash(pairs)
        return hashed
