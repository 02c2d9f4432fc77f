"""What a difference of two accuracies can be told from."""

from __future__ import annotations

import math

from qspinn_optuna.front import Candidate


def difference_error(first: Candidate, second: Candidate) -> float | None:
    """Standard error of the difference of two accuracies, a fraction; None if the samples of either are unknown.

    sqrt(se1**2 + se2**2), as if the two had been measured on samples of their own. They were measured on the same,
    where both tend to fail on the hard ones, and the difference varies less: the figure is a conservative one, which
    calls rather too many candidates alike than too few.
    """
    errors = (first.standard_error, second.standard_error)
    if errors[0] is None or errors[1] is None:
        return None
    return math.hypot(errors[0], errors[1])
