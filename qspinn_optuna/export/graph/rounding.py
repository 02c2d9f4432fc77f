"""The rounding of codes in C, of a value with number i."""

from __future__ import annotations

from qspinn_optuna.export.packing import c_integer
from qspinn_optuna.fixed_point.integer_rounding import DRAW_BITS, NEAREST, STOCHASTIC, CodeRounding

_DRAW = "(uint32_t)(snn_mix(key + i * SNN_GOLDEN) >> 32)"


def draws_of(to: CodeRounding) -> bool:
    """Whether rounding draws: without dropped bits it has nothing to decide."""
    return to.rounding == STOCHASTIC and to.drop > 0


def rounding_constants(to: CodeRounding) -> tuple[int, ...]:
    """What rounding adds, and saturates to."""
    return (1 << to.drop >> 1, to.lowest, to.highest)


def rounded(value: str, to: CodeRounding, kind: str) -> list[str]:
    """Statements that make u the code of an accumulator: shift, round, saturate."""
    added = ""
    if to.rounding == NEAREST and to.drop:
        added = f" + {c_integer(1 << to.drop >> 1)}"
    elif draws_of(to):
        fraction = (
            f"({kind})({_DRAW} >> {DRAW_BITS - to.drop})"
            if to.drop <= DRAW_BITS
            else f"({kind}){_DRAW} * {c_integer(1 << to.drop - DRAW_BITS)}"
        )
        added = f" + {fraction}"
    total = f"{value}{added}"
    lines = [f"u = ({total}) >> {to.drop};"] if to.drop else [f"u = {total};"] if total != "u" else []
    lowest, highest = c_integer(to.lowest), c_integer(to.highest)
    return [*lines, f"u = u < {lowest} ? {lowest} : u > {highest} ? {highest} : u;"]
