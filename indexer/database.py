"""Engines for SQLite and PostgreSQL, and the schema's version."""

import contextlib
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from gelap.settings import Settings
from indexer.errors import SettingsError, StoreError

# Of PostgreSQL's advisory locks, the one under which the schema is changed: "gelapidx" in ASCII.
_SCHEMA_LOCK = 0x67656C6170696478
# The API answers from threads; more connections than this wait for each other.
READ_CONNECTIONS = 8


def write_engine(url: str) -> Engine:
    """An engine for the one writer. Raises SettingsError for a URL of another database."""
    return _engine(url, read_only=False)


def read_engine(url: str) -> Engine:
    """An engine on which nothing can be written, for the API; `url` may be that of a replica."""
    return _engine(url, read_only=True)


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path.absolute()}"


class _BinaryCursor(psycopg.Cursor):
    """Takes results in PostgreSQL's binary form: as text a memo would come in hexadecimal, and be decoded again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.format = psycopg.pq.Format.BINARY


def default_database(must_exist: bool = False) -> str:
    """What GELAP_DATABASE_URL says, else an SQLite file in the cache. Raises StoreError if that has to exist."""
    settings = Settings()
    if settings.database_url:
        return settings.database_url
    path = settings.cache_dir / "indexer.sqlite"
    if must_exist and not path.exists():
        raise StoreError(f"there is no database at {path}: run `gelap indexer run`, or set GELAP_DATABASE_URL")
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite_url(path)


def _engine(url: str, read_only: bool) -> Engine:
    try:
        # A file that a URL was written to often ends its line, and so does the variable made of it.
        parsed = make_url(url.strip())
    except ArgumentError:
        raise SettingsError("GELAP_DATABASE_URL is no database's URL, such as postgresql://user@host/name") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        options = "-c default_transaction_read_only=on" if read_only else ""
        return create_engine(
            parsed,
            pool_pre_ping=True,
            # All queries of one answer see one state.
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
            pool_size=READ_CONNECTIONS if read_only else 1,
            max_overflow=0,
            connect_args={"options": options, "connect_timeout": 10}
            | ({"cursor_factory": _BinaryCursor} if read_only else {}),
        )
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError("the indexer keeps its data in PostgreSQL or SQLite: correct GELAP_DATABASE_URL")
    # Readers and the writer do not wait for each other in WAL; a power cut loses the last pages at most, which are
    # read from the chain again.
    pragmas = ["journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 10000"]
    if read_only:
        pragmas = [*pragmas[2:], "query_only = ON"]
    engine = create_engine(parsed)

    @event.listens_for(engine, "connect")
    def prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        # The driver would begin transactions late, after the first reads: they begin below.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turn the library's errors into StoreError, without the statement's values."""
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()
        raise StoreError(f"the database refuses: {reason[0] if reason else type(error).__name__}") from error
    except psycopg.Error as error:
        # From COPY, which goes past the library.
        raise StoreError(f"the database refuses: {type(error).__name__}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be used ({type(error).__name__})") from error


def migrate(engine: Engine) -> None:
    """Bring the database's tables to this program's version; of several processes, one does and the others wait.

    Raises StoreError, also when they are newer.
    """
    with database_errors(), _scripts() as config, engine.begin() as connection:
        lock_schema(connection)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise StoreError("the database was made by a newer version of this program: update it") from None


def lock_schema(connection: Connection) -> None:
    """Let one transaction at a time change tables, until it ends; on SQLite every writing transaction is alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


def require_current(engine: Engine) -> None:
    """Raises StoreError unless the tables are of this program's version."""
    with database_errors(), _scripts() as config, engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        wanted = ScriptDirectory.from_config(config).get_current_head()
    if found is None:
        raise StoreError("the database has no pool's data yet: run `gelap indexer run` on it first")
    if found != wanted:
        raise StoreError(
            f"the database has version {found}, this program works with {wanted}: run the same version of both"
        )


@contextlib.contextmanager
def _scripts() -> Iterator[Config]:
    with as_file(files("indexer") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        yield config
