"""LLVM code for arithmetic in a prime field of 254 bits.

An element is a tuple of four uint64, least significant limb first: LLVM's `[4 x i64]`. Elements are canonical (below
the modulus) before and after every operation.

Multiplication is Montgomery's with R = 2^256, in the interleaved ("CIOS") form of Koc, Acar and Kaliski, "Analyzing and
comparing Montgomery multiplication algorithms" (1996). The modulus leaves two bits of the top limb free, so the running
value never needs a fifth limb. On x86 with MULX, ADCX and ADOX (since 2014) it is written in these instructions, as
compilers do not keep two chains of carries apart. It is a function of its own that LLVM may not inline: a call costs
nothing measurable beside 20 ns of arithmetic, and inlining hundreds of copies would take a compiler minutes.
"""

from collections.abc import Callable

from llvmlite import binding, ir

from prover.kernels.constants import LIMBS, limbs_of
from prover.kernels.host import cpu_features

I64 = ir.IntType(64)
I128 = ir.IntType(128)
I256 = ir.IntType(256)
ELEMENT = ir.ArrayType(I64, LIMBS)


def to_wide(builder: ir.IRBuilder, element: ir.Value) -> ir.Value:
    """`[4 x i64]` -> one i256, which LLVM adds and compares with carry chains."""
    wide = I256(0)
    for i in range(LIMBS):
        limb = builder.zext(builder.extract_value(element, i), I256)
        wide = builder.or_(wide, builder.shl(limb, I256(64 * i)))
    return wide


def from_wide(builder: ir.IRBuilder, wide: ir.Value) -> ir.Value:
    """One i256 -> `[4 x i64]`."""
    element = ir.Constant(ELEMENT, ir.Undefined)
    for i in range(LIMBS):
        limb = builder.trunc(builder.lshr(wide, I256(64 * i)), I64)
        element = builder.insert_value(element, limb, i)
    return element


def outlined(
    builder: ir.IRBuilder,
    name: str,
    result: ir.Type,
    arguments: list[ir.Value],
    body: Callable[..., ir.Value],
) -> ir.Value:
    """Call the function `name`, whose value `body(builder, *args)` emits, adding it to the module when it is not there.

    linkonce_odr: every kernel's module may carry a copy, and the linker keeps one.
    """
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(result, [argument.type for argument in arguments])
        function = ir.Function(module, signature, name)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        inner = ir.IRBuilder(function.append_basic_block())
        inner.ret(body(inner, *function.args))
    return builder.call(function, arguments)


def has_two_carry_chains() -> bool:
    """Does the CPU that is compiled for have MULX, ADCX and ADOX?"""
    features = cpu_features()
    return bool(features.get("bmi2") and features.get("adx"))


class PrimeField:
    """Emits the operations of F_modulus; `name` prefixes its LLVM functions.

    two_chains: whether products use MULX, ADCX and ADOX; None where the CPU has them.
    """

    def __init__(self, name: str, modulus: int, two_chains: bool | None = None) -> None:
        self.name = name
        self._two_chains = has_two_carry_chains() if two_chains is None else two_chains
        self.modulus = modulus
        self._limbs = limbs_of(modulus)
        self._minus_inverse = -pow(modulus, -1, 2**64) % 2**64

    def add(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        return self._reduce_once(builder, builder.add(to_wide(builder, a), to_wide(builder, b)))

    @staticmethod
    def add_for_product(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        """a + b, below twice the modulus: not canonical, but good enough as a factor.

        For factors of 2 p and p = 0.19 R a product is below 4 p^2 / R + p < 2 p before its one subtraction, and the
        running value stays below 3 p < R.
        """
        return from_wide(builder, builder.add(to_wide(builder, a), to_wide(builder, b)))

    def sub(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        # The modulus leaves the top bit free: it is the sign, and compares the two without subtracting again.
        difference = builder.sub(to_wide(builder, a), to_wide(builder, b))
        correction = builder.and_(builder.ashr(difference, I256(255)), I256(self.modulus))
        return from_wide(builder, builder.add(difference, correction))

    def neg(self, builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
        wide = to_wide(builder, a)
        negated = builder.sub(I256(self.modulus), wide)
        return from_wide(builder, builder.select(builder.icmp_unsigned("==", wide, I256(0)), wide, negated))

    def mul(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        body = self._montgomery_in_two_chains if self._two_chains else self._montgomery
        return outlined(builder, f"gelap_{self.name}_mul", ELEMENT, [a, b], body)

    def _reduce_once(self, builder: ir.IRBuilder, wide: ir.Value) -> ir.Value:
        """An i256 below twice the modulus -> the canonical element."""
        reduced = builder.sub(wide, I256(self.modulus))
        return from_wide(builder, builder.select(builder.icmp_signed("<", reduced, I256(0)), wide, reduced))

    def _montgomery(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        def product(left: ir.Value, right: ir.Value, *addends: ir.Value) -> tuple[ir.Value, ir.Value]:
            """Low and high half of left * right + addends; two addends of 64 bits cannot overflow 128 bits."""
            total = builder.mul(builder.zext(left, I128), builder.zext(right, I128))
            for addend in addends:
                total = builder.add(total, builder.zext(addend, I128))
            return builder.trunc(total, I64), builder.trunc(builder.lshr(total, I128(64)), I64)

        zero = I64(0)
        left = [builder.extract_value(a, i) for i in range(LIMBS)]
        running = [zero] * LIMBS
        for i in range(LIMBS):
            right = builder.extract_value(b, i)
            low, carry_product = product(left[0], right, running[0])
            factor = builder.mul(low, I64(self._minus_inverse))
            _, carry_factor = product(factor, I64(self._limbs[0]), low)
            for j in range(1, LIMBS):
                low, carry_product = product(left[j], right, running[j], carry_product)
                running[j - 1], carry_factor = product(factor, I64(self._limbs[j]), low, carry_factor)
            running[LIMBS - 1] = builder.add(carry_product, carry_factor)
        wide = I256(0)
        for i, limb in enumerate(running):
            wide = builder.or_(wide, builder.shl(builder.zext(limb, I256), I256(64 * i)))
        return self._reduce_once(builder, wide)

    def _montgomery_in_two_chains(self, builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        """The same in assembly: low halves of products are added by ADOX, high halves by ADCX, each with its own carry.

        See Ozturk, Guilford, Gopal, Feghali, "New instructions supporting large integer arithmetic" (Intel, 2012).
        """
        binding.initialize_native_asmparser()
        # Operands: the running value, its topmost word, the last low and a high half; then a, b and the modulus.
        t = ["$0", "$1", "$2", "$3"]
        top, low, high = "$4", "$5", "$6"
        left, right = ["$7", "$8", "$9", "$10"], ["$11", "$12", "$13", "$14"]
        lines = []
        for i in range(LIMBS):
            lines += [f"movq {right[i]}, %rdx", f"xorq {low}, {low}"]
            if i == 0:
                lines += [f"mulxq {left[0]}, {t[0]}, {t[1]}"]
                for j in range(1, LIMBS):
                    lines += [f"mulxq {left[j]}, {low}, {[*t, top][j + 1]}", f"adoxq {low}, {t[j]}"]
                lines += [f"movq $$0, {low}", f"adoxq {low}, {top}"]
            else:
                for j in range(LIMBS):
                    if j:
                        lines += [f"adcxq {top}, {t[j]}"]
                    lines += [f"mulxq {left[j]}, {low}, {top}", f"adoxq {low}, {t[j]}"]
                lines += [f"movq $$0, {low}", f"adcxq {low}, {top}", f"adoxq {low}, {top}"]
            lines += [f"movabsq $${self._minus_inverse}, %rdx", f"imulq {t[0]}, %rdx", f"xorq {low}, {low}"]
            lines += [f"mulxq 0($15), {low}, {high}", f"adcxq {t[0]}, {low}", f"movq {high}, {t[0]}"]
            for j in range(1, LIMBS):
                lines += [f"adcxq {t[j]}, {t[j - 1]}", f"mulxq {8 * j}($15), {low}, {t[j]}"]
                lines += [f"adoxq {low}, {t[j - 1]}"]
            lines += [f"movq $$0, {low}", f"adcxq {low}, {t[3]}", f"adoxq {top}, {t[3]}"]

        words = [builder.extract_value(element, i) for element in (a, b) for i in range(LIMBS)]
        modulus = self._modulus_in_memory(builder.module)
        outputs = ir.LiteralStructType([I64] * 7)
        signature = ir.FunctionType(outputs, [I64] * 8 + [modulus.type])
        constraints = ",".join(["=&r"] * 7 + ["r"] * 4 + ["rm"] * 4 + ["r", "~{rdx}", "~{flags}"])
        found = builder.asm(signature, "\n".join(lines), constraints, [*words, modulus], False)
        wide = I256(0)
        for i in range(LIMBS):
            limb = builder.zext(builder.extract_value(found, i), I256)
            wide = builder.or_(wide, builder.shl(limb, I256(64 * i)))
        return self._reduce_once(builder, wide)

    def _modulus_in_memory(self, module: ir.Module) -> ir.GlobalVariable:
        name = f"gelap_{self.name}_modulus"
        found = module.globals.get(name)
        if found is None:
            found = ir.GlobalVariable(module, ELEMENT, name)
            found.initializer = ir.Constant(ELEMENT, [I64(limb) for limb in self._limbs])
            found.global_constant = True
            found.linkage = "internal"
        return found


def equal(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """i1: are two elements the same? Equality of limbs is equality in the field, since elements are canonical."""
    return builder.icmp_unsigned("==", to_wide(builder, a), to_wide(builder, b))


def is_zero(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    return builder.icmp_unsigned("==", to_wide(builder, a), I256(0))
