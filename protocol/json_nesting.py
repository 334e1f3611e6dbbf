"""How deep a JSON text nests, told before a parser is let loose on it.

Python's parser recurses once a level and relies on the interpreter's recursion limit to stop. Libraries raise that
limit (py-ecc sets 100,000), and a hostile document then overflows the C stack and takes the process down.
"""

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]}]', re.DOTALL)


def nests_deeper_than(text: str, limit: int) -> bool:
    """Say whether arrays and objects of a text, well-formed or not, ever stand more than `limit` deep."""
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
            if depth > limit:
                return True
        elif token in "]}":
            depth -= 1
    return False
