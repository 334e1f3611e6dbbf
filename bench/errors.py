"""What can go wrong in a benchmark.

BenchError                a benchmark that cannot run; the message says what to do
├── ChildError            a child process that failed; carries its exit code
└── WrongResultError      an output that did not pass its check: its time means nothing
"""


class BenchError(Exception):
    """Base of this package's errors."""


class ChildError(BenchError):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class WrongResultError(BenchError):
    pass
