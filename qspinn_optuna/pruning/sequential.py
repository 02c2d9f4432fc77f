"""A sequential test of whether counts can still reach a target, valid at every look."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TypeVar

_Result = TypeVar("_Result", int, float)

_SMALLEST_GAP = 10
"""Without a total, the smallest gap below the target is target * 2**-10."""


def cannot_reach(correct: int, seen: int, target: float, confidence: float, total: int | None = None) -> bool:
    """Whether a final result of ``target`` or more can be ruled out.

    If the final result does reach the target, the probability that this test is true at any look is at most
    1 - ``confidence``, over all looks together. The guarantee assumes that the target is fixed before the first sample
    and that samples are exchangeable, as after a shuffle; it does not hold if the hard samples come first.

    The evidence is a likelihood ratio: a mixture of lower results against the target, drawn without replacement if
    ``total`` is given. If the target is reached, it is a supermartingale, which exceeds 1 / (1 - confidence) with a
    probability of at most 1 - confidence (Ville's inequality). It follows the prior-posterior ratio of Waudby-Smith and
    Ramdas, "Confidence sequences for sampling without replacement", NeurIPS 2020, https://arxiv.org/abs/2006.04347, but
    with a prior that has most of its weight close below the target, which needs fewer samples than a uniform one.

    Example:
        >>> cannot_reach(correct=380, seen=500, target=900, confidence=0.95, total=1_000)
        True

    Args:
        correct: Correct answers so far.
        seen: Samples so far.
        target: Correct answers among all ``total`` samples, an int; without a total, the probability of a correct
            answer.
        confidence: Between 0 and 1, both excluded.
        total: Number of samples of the whole evaluation. If not given, samples are independent draws without end.

    Raises:
        TypeError: If a number is of another type.
        ValueError: If the counts are impossible, or ``confidence`` or ``target`` is outside its range.
    """
    correct, seen, total = check_counts(correct, seen, total)
    confidence = check_confidence(confidence)
    if total is None:
        if not 0 <= target <= 1:
            raise ValueError(f"target must be a fraction between 0 and 1 if there is no total, got {target!r}.")
        evidence = _evidence_of_draws(correct, seen, float(target))
    else:
        evidence = _evidence_without_replacement(correct, seen, operator.index(target), total)  # type: ignore[arg-type]
    return evidence >= -math.log1p(-confidence)


def upper_bound(correct: int, seen: int, confidence: float, total: int | None = None) -> float:
    """The highest final accuracy that is not ruled out; arguments, assumptions and errors as in :func:`cannot_reach`.

    Example:
        >>> upper_bound(correct=380, seen=500, confidence=0.95, total=1_000)
        0.8

    Returns:
        A fraction; with a total, a possible final result, otherwise with a precision of 2**-20.
    """
    correct, seen, total = check_counts(correct, seen, total)

    def is_open(target: int) -> bool:
        exact = target if total is not None else target / steps
        return not cannot_reach(correct, seen, exact, confidence, total)

    # NOTE: bisection works because targets that are ruled out lie above those that are not. A rare exception is a
    # single target at a power of two, where the number of gaps in the mixture changes.
    steps = 2**20 if total is None else total
    low, high = 0, steps + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_open(middle) else (low, middle)
    return low / steps if steps else 0.0


def check_confidence(confidence: float) -> float:
    """The confidence as a float; it must be between 0 and 1, both excluded.

    Raises:
        TypeError: If ``confidence`` is not a number.
        ValueError: If it is outside its range.
    """
    if isinstance(confidence, bool) or not isinstance(confidence, Real):
        raise TypeError(f"confidence must be a number between 0 and 1, such as 0.95, got {confidence!r}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, both excluded, such as 0.95, got {confidence!r}.")
    return float(confidence)


def check_counts(correct: int, seen: int, total: int | None) -> tuple[int, int, int | None]:
    """Counts as plain ints.

    Raises:
        TypeError: If a count is not a whole number.
        ValueError: If not 0 <= correct <= seen <= total.
    """
    correct, seen = _whole("correct", correct), _whole("seen", seen)
    total = None if total is None else _whole("total", total)
    if not 0 <= correct <= seen:
        raise ValueError(f"correct must be between 0 and seen, got correct={correct} and seen={seen}.")
    if total is not None and seen > total:
        raise ValueError(f"total must be at least seen, got total={total} and seen={seen}.")
    return correct, seen, total


def _whole(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a whole number, got {value!r}.") from error


def _evidence_without_replacement(correct: int, seen: int, target: int, total: int) -> float:
    """Logarithm of the evidence against ``target`` or more of ``total``; infinite if the target is impossible.

    NOTE: the target stands for all results above it. Every result of the mixture is lower than the target and makes
    wrong answers more probable; a true result above the target makes them less probable still, so that the expected
    ratio falls under it, too.
    """
    if correct >= target:
        return -math.inf

    def likelihood(result: int) -> float:
        # Likelihood of the answers in their order, without the common factor [total]_seen of all results.
        return _log_falling(result, correct) + _log_falling(total - result, seen - correct)

    # Gaps of 1, 2, 4, ... answers: one of them is close to any possible gap.
    results = [target - 2**power for power in range(target.bit_length()) if target - 2**power <= total]
    return _log_ratio(likelihood, results, target)


def _evidence_of_draws(correct: int, seen: int, target: float) -> float:
    """Logarithm of the evidence against a probability of ``target`` or more, for independent draws."""
    if target <= 0:
        return -math.inf

    def likelihood(probability: float) -> float:
        return _power(probability, correct) + _power(1 - probability, seen - correct)

    return _log_ratio(likelihood, [target - target * 2.0**-power for power in range(_SMALLEST_GAP + 1)], target)


def _log_ratio(likelihood: Callable[[_Result], float], results: Sequence[_Result], target: _Result) -> float:
    """Logarithm of the mean likelihood of ``results`` over that of ``target``."""
    reference = likelihood(target)
    if reference == -math.inf:
        return math.inf
    logarithms = [likelihood(result) for result in results]
    highest = max(logarithms)
    if highest == -math.inf:
        return -math.inf
    mean = sum(math.exp(value - highest) for value in logarithms) / len(logarithms)
    return highest + math.log(mean) - reference


def _log_falling(n: int, k: int) -> float:
    """Logarithm of n (n - 1) ... (n - k + 1)."""
    return math.lgamma(n + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf


def _power(base: float, exponent: int) -> float:
    """Logarithm of base ** exponent."""
    if exponent == 0:
        return 0.0
    return exponent * math.log(base) if base > 0 else -math.inf
