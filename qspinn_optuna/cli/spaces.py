"""The search space of a run: that of the file, or a default, and what the command line leaves of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.cli.targets import target_of
from qspinn_optuna.cli.user_file import UserFile
from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.parameters import ParameterSpec, stored
from qspinn_optuna.space import QuantizationSpace, Widths
from qspinn_optuna.workloads import Workload

DEFAULT_BITS = (2, 8)


def space_of_run(file: UserFile, workload: Workload, arguments: argparse.Namespace) -> QuantizationSpace:
    """The space that is searched.

    Raises:
        UsageError: If the command line names widths that the space does not have, or leaves nothing of it, or the
            device can do none of its roundings.
    """
    bits = _bits(arguments)
    space = file.space(workload)
    try:
        if space is None:
            space = default_space(workload, DEFAULT_BITS if bits is None else bits)
        elif bits is not None:
            space = space.restrict(bits)
        return space.restrict(schemes=arguments.schemes, roundings=_roundings(space, arguments))
    except ValueError as error:
        if (bits, arguments.schemes, arguments.roundings) == (None, None, None):
            raise
        raise UsageError(f"--{error}") from error


def first_trials_in(file: UserFile, space: QuantizationSpace, arguments: argparse.Namespace) -> list[Mapping[str, Any]]:
    """The trials that the file lets a new study begin with, each once; of a narrowed space only those that it has."""
    given = file.first_trials(space)
    trials = [params for index, params in enumerate(given) if params not in given[:index]]
    is_narrowed = bool(arguments.bits or arguments.schemes or arguments.roundings or arguments.target)
    return [params for params in trials if not is_narrowed or _contains(space, params)]


def _contains(space: QuantizationSpace, params: Mapping[str, Any]) -> bool:
    try:
        space.config(params)
    except ValueError:
        return False
    return True


def default_space(workload: Workload, bits: Widths | Mapping[str, Widths] = DEFAULT_BITS) -> QuantizationSpace:
    """One width for each family, and the schemes that the workload has.

    Args:
        workload: What is quantized.
        bits: First and last width of all parameters, or a mapping from parameters and families to widths. Parameters
            that it names have a width of their own; what it does not name is searched from 2 to 8 bits.
    """
    schemes = getattr(workload, "schemes", tuple(Scheme))
    searched = [p for p in stored(workload.parameters, workload.deployment) if p.fixed_bits is None]
    if not isinstance(bits, Mapping):
        return QuantizationSpace(workload.parameters, bits, schemes, ties="family", deployment=workload.deployment)
    known = {name for parameter in searched for name in (parameter.name, parameter.family.value)}
    unknown = sorted(bits.keys() - known)
    if unknown:
        raise ValueError(f"bits must name what can be quantized, one of {sorted(known)}, got {unknown}.")
    ties = {p.name: p.family.value for p in searched if p.name not in bits or p.name == p.family}
    widths = {p.name: _widths_of(p, bits, searched) for p in searched}
    return QuantizationSpace(workload.parameters, widths, schemes, ties=ties, deployment=workload.deployment)


def _widths_of(parameter: ParameterSpec, bits: Mapping[str, Widths], searched: list[ParameterSpec]) -> Widths:
    for name in (parameter.name, parameter.family.value):
        if name in bits:
            return bits[name]
    # All of a family have the same widths.
    most = min(other.max_bits for other in searched if other.family is parameter.family)
    return min(DEFAULT_BITS[0], most), min(DEFAULT_BITS[1], most)


def _roundings(space: QuantizationSpace, arguments: argparse.Namespace) -> Sequence[Rounding] | None:
    """The roundings that are searched: without those that the device cannot do."""
    wanted: Sequence[Rounding] | None = arguments.roundings and [Rounding(name) for name in arguments.roundings]
    target = target_of(arguments)
    if target is None:
        return wanted
    asked = space.roundings if wanted is None else wanted
    able = [rounding for rounding in asked if rounding in target.roundings]
    if not able:
        raise UsageError(
            f"--target {target.name} can round by {' or '.join(target.roundings)}, and the search by "
            f"{' or '.join(asked)}: nothing is left"
        )
    return able


def _bits(arguments: argparse.Namespace) -> Widths | dict[str, Widths] | None:
    """What the command line says of widths."""
    given: list[tuple[str, tuple[int, int]]] = arguments.bits or []
    if not given:
        return None
    return given[0][1] if given[0][0] == "" else dict(given)
