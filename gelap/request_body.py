"""What a stranger sends to a server: of bounded length, within bounded time."""

import asyncio

from starlette.requests import Request


class BodyError(Exception):
    """A request's body that is not read to its end; `too_long`, or else too slow."""

    def __init__(self, too_long: bool) -> None:
        super().__init__("too long" if too_long else "too slow")
        self.too_long = too_long


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body, of `most` bytes and arriving within `seconds` at most.

    Raises BodyError, and starlette's ClientDisconnect when the caller has gone.
    """
    read = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                read += part
                if len(read) > most:
                    raise BodyError(too_long=True)
    except TimeoutError:
        raise BodyError(too_long=False) from None
    return bytes(read)
