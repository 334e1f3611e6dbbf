"""How many blocks to ask for at once: providers allow 500, 10,000 or any number, and say so in words of their own."""

FIRST, LARGEST = 1_000, 10_000
# A page is held in memory and written in one transaction: some 700 bytes an event.
MAX_EVENTS = 16_384
# After so many pages at a size below one that was refused, try the larger size again.
PATIENCE = 50


class Window:
    """The number of blocks of the next question to one endpoint: halved when refused, doubled when all goes well."""

    def __init__(self, first: int = FIRST, largest: int = LARGEST) -> None:
        self.largest = max(1, largest)
        self.size = min(max(1, first), self.largest)
        self._ceiling = self.largest
        self._calm = 0

    def refused(self, asked: int) -> bool:
        """The endpoint refused `asked` blocks: shrink below that. False when one block was too much already."""
        self._calm = 0
        if asked <= 1:
            return False
        self._ceiling = min(self._ceiling, asked - 1)
        self.size = max(1, asked // 2)
        return True

    def accepted(self, events: int) -> None:
        """A page with so many events was read."""
        if events > MAX_EVENTS:
            self.size = max(1, self.size * MAX_EVENTS // (2 * events))
            return
        self._calm += 1
        if self._calm >= PATIENCE:
            self._calm = 0
            self._ceiling = self.largest
        if 2 * events <= MAX_EVENTS:
            self.size = min(2 * self.size, self._ceiling)
