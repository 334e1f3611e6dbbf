"""Ports that stay free for our servers, however long those take to start and however often they die."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A loopback port that the system gives to nobody else inside the block. While no server of ours listens there,
    connections are refused.

    It is bound here and not listened on. With SO_REUSEADDR, which servers set, another socket may be bound to it all
    the same and listen; the system chooses no bound port by itself, neither for a listener nor for a connection.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
