"""Carries out the PTX of a kernel without branches, one thread of it, as the PTX ISA defines each instruction.

Knows what field arithmetic is made of and fails on anything else. Registers are Python integers of their own width.
"""

import re

MASK32 = (1 << 32) - 1

_STATEMENT = re.compile(r"(?:\s|\{\})*([a-z][\w.]*)\s*([^;]*);")
_OPERANDS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+")


def kernel_body(ptx: str, kernel: str) -> list[tuple[str, list[str]]]:
    """The instructions of a kernel: (opcode, operands)."""
    text = re.sub(r"//[^\n]*", "", ptx)
    text = text[re.search(rf"\.entry {kernel}\(", text).end() :]
    text = text[text.index("{") + 1 :]
    text = text[: text.index("\n}")]
    text = re.sub(r"^\s*\.reg[^;]*;", "", text, flags=re.MULTILINE)
    return [(opcode, _OPERANDS.findall(operands)) for opcode, operands in _STATEMENT.findall(text)]


class Thread:
    """Runs `body` with pointer parameters to arrays of 32-bit words; array i lies at address i << 32."""

    def __init__(self, body: list[tuple[str, list[str]]], arrays: list[list[int]]):
        self.arrays = arrays
        self.registers: dict[str, int] = {}
        self.flag = 0
        for opcode, operands in body:
            if opcode == "ret":
                return
            self._step(opcode, operands)
        raise AssertionError("the kernel does not end")

    def _value(self, operand: str) -> int:
        return self.registers[operand] if operand.startswith("%") else int(operand, 0) & MASK32

    def _place(self, operand: str) -> tuple[list[int], int]:
        register, _, offset = operand[1:-1].partition("+")
        address = self.registers[register] + int(offset or 0)
        assert address % 16 == 0
        return self.arrays[address >> 32], (address & MASK32) // 4

    def _step(self, opcode: str, operands: list[str]) -> None:
        kind = opcode.split(".")[0]
        if opcode == "ld.param.u64":
            self.registers[operands[0]] = int(operands[1].rstrip("]").rsplit("_", 1)[1]) << 32
        elif opcode in ("cvta.to.global.u64", "mov.u32"):
            self.registers[operands[0]] = self._value(operands[1])
        elif opcode in ("ld.global.v4.u32", "ld.global.nc.v4.u32"):
            array, index = self._place(operands[1])
            for register, word in zip(self._vector(operands[0]), array[index : index + 4], strict=True):
                self.registers[register] = word
        elif opcode == "st.global.v4.u32":
            array, index = self._place(operands[0])
            array[index : index + 4] = [self.registers[register] for register in self._vector(operands[1])]
        elif kind in ("add", "addc", "sub", "subc", "mad", "madc") and opcode.endswith("u32"):
            self._carry(opcode.split("."), operands)
        else:
            a, *rest = [self._value(operand) for operand in operands[1:]]
            self.registers[operands[0]] = self._plain(opcode, a, *rest)

    @staticmethod
    def _vector(operand: str) -> list[str]:
        return [register.strip() for register in operand[1:-1].split(",")]

    def _carry(self, parts: list[str], operands: list[str]) -> None:
        a, b, *rest = (self._value(operand) for operand in operands[1:])
        carry = self.flag if parts[0] in ("addc", "subc", "madc") else 0
        if parts[0].startswith("mad"):
            total = (a * b & MASK32 if "lo" in parts else a * b >> 32) + rest[0] + carry
        elif parts[0].startswith("add"):
            total = a + b + carry
        else:
            total = a - b - carry
        if "cc" in parts:
            # The carry out, or for subtractions the borrow.
            self.flag = int(total > MASK32 or total < 0)
        self.registers[operands[0]] = total & MASK32

    @staticmethod
    def _plain(opcode: str, a: int, b: int = 0, c: int = 0) -> int:
        signed = a - (1 << 32) if a >> 31 else a
        operations = {
            "mul.lo.u32": lambda: a * b,
            "mul.lo.s32": lambda: a * b,
            "mul.hi.u32": lambda: a * b >> 32,
            "and.b32": lambda: a & b,
            "or.b32": lambda: a | b,
            "shl.b32": lambda: a << b,
            "shr.u32": lambda: a >> b,
            "shr.s32": lambda: signed >> b,
            "setp.eq.s32": lambda: int(a == b),
            "setp.ne.s32": lambda: int(a != b),
            "selp.b32": lambda: a if c else b,
        }
        if opcode not in operations:
            raise AssertionError(f"an instruction that this interpreter does not know: {opcode}")
        return operations[opcode]() & MASK32
