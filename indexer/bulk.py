"""Many rows into one table: COPY on PostgreSQL, one prepared statement on SQLite."""

from collections.abc import Sequence

from psycopg import sql
from sqlalchemy import BigInteger, Boolean, Connection, Integer, LargeBinary, String, Table, insert

_POSTGRESQL_TYPES = {BigInteger: "int8", Integer: "int4", LargeBinary: "bytea", Boolean: "bool", String: "text"}


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple]) -> None:
    """Insert rows inside the connection's transaction; their values are in the order of the table's columns."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
        return
    names = [column.name for column in table.columns]
    connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _copy(connection: Connection, table: Table, rows: Sequence[tuple]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    )
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([_POSTGRESQL_TYPES[type(column.type)] for column in table.columns])
        for row in rows:
            copy.write_row(row)
