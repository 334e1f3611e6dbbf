"""A client of an indexer's API, in a process of its own: asks for one page of leaves after another.

Only the standard library is imported, so that such a process is small and starts at once.
"""

import http.client
import time
from multiprocessing.connection import Connection

PAGE = 1_000
# Requests that are not counted.
_WARM_UP = 20


def ask_for_pages(address: tuple[str, int], pages: int, requests: int, start: int, parent: Connection) -> None:
    """Say "ready" to `parent` once warm, wait for its word, and send the seconds of each request, or a reason.

    Pages are full ones, from all over the tree, beginning with number `start`.
    """
    connection = http.client.HTTPConnection(*address, timeout=30)
    seconds = []
    try:
        for number in range(-_WARM_UP, requests):
            if number == 0:
                parent.send("ready")
                parent.recv()
            first = PAGE * ((start + number) * 7 % pages)
            started = time.perf_counter()
            connection.request("GET", f"/v1/leaves?from={first}&limit={PAGE}")
            response = connection.getresponse()
            body = response.read()
            elapsed = time.perf_counter() - started
            if response.status != 200 or body.count(b'"leaf_index"') != PAGE:
                parent.send(f"the API answered a page with status {response.status} and other leaves")
                return
            if number >= 0:
                seconds.append(elapsed)
    except (OSError, http.client.HTTPException) as error:
        parent.send(f"the API did not answer a page ({type(error).__name__})")
        return
    parent.send(seconds)
