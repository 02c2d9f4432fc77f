"""The search space: parameters and choices to Optuna's distributions, and trials back to configurations."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.parameters import Deployment, Family, Footprint, ParameterSpec, stored

Widths = int | tuple[int, int]
"""The widths that are searched: one, or a first and a last, both included."""

Ties = Literal["family", "layer"] | Mapping[str, str]
"""Which parameters share their width; see :class:`QuantizationSpace`."""

_Choice = TypeVar("_Choice", bound=StrEnum)

_LOGGER = optuna.logging.get_logger("optuna.quantization_space")

_WIDTH = "bits."
"""Begins the names of the dimensions that are widths."""


def width_name(parameter: str) -> str:
    """The dimension that holds the width of a parameter, or of a group of tied ones.

    Example:
        >>> width_name("fc.weight")
        'bits.fc.weight'
    """
    return f"{_WIDTH}{parameter}"


def is_width(dimension: str) -> bool:
    """Whether a dimension holds a width.

    Example:
        >>> is_width("bits.fc.weight"), is_width("scheme")
        (True, False)
    """
    return dimension.startswith(_WIDTH)


def parameter_of(dimension: str) -> str:
    """The parameter, or the group of tied ones, whose width a dimension holds: the inverse of :func:`width_name`.

    Example:
        >>> parameter_of("bits.fc.weight")
        'fc.weight'

    Raises:
        ValueError: If it holds no width.
    """
    if not is_width(dimension):
        raise ValueError(f"dimension must be the name of a width, such as {width_name('weight')!r}, got {dimension!r}.")
    return dimension.removeprefix(_WIDTH)


class WidthReport(Protocol):
    """Something that knows which widths are worth a search, such as a report of significance.

    Example:
        >>> space.narrow(report).cardinality <= space.cardinality
        True
    """

    @property
    def worth_searching(self) -> Mapping[str, tuple[int, int]]:
        """First and last width of parameters, or of groups of tied ones, by their names."""
        ...


_SHOWN = 8
"""Widths that the repr of a space names."""


class QuantizationSpace:
    """The scheme, the rounding and the width of every parameter, as dimensions of an Optuna study.

    The names of the dimensions are ``scheme``, ``rounding`` (or ``rounding.<family>``) and ``bits.<parameter>`` (or
    ``bits.<group>`` of tied parameters), and ``grid.<family>`` if parameters of a family have several ``grids`` to
    choose from. The range of a parameter, a width and a grid give its format.

    Example:
        >>> space = QuantizationSpace(workload.parameters, bits={"weight": (2, 4), "lif.v": (4, 12)})
        >>> print(space.uniform(4, "itq", "stochastic"))
        itq: fc.weight Q0.3 stochastic, lif.v Q1.2 stochastic

    Args:
        parameters: What can be quantized; those with a fixed width are counted, not searched.
        bits: First and last width of every parameter, or a mapping from parameter names and families to widths, in
            which a name goes before its family. They go as far as ``max_bits`` of the parameter does, of tied ones the
            smallest, which is logged. A parameter that cannot even have the first width gets ``max_bits`` alone. That,
            and what limits named widths, is told in a warning.
        schemes: The schemes to choose from.
        roundings: The roundings to choose from.
        rounding_per_family: Whether each family has a rounding of its own, instead of one for all.
        ties: "family" gives a family one width, "layer" those whose name agrees up to its last dot, a mapping from
            parameters to groups those of a group. Parameters it leaves out keep a width of their own.
        deployment: What the device does; parameters that it does not store are not searched.

    Raises:
        ValueError: If there is nothing to search or choose from, a name occurs twice, widths are missing, outside
            1-24 or not the same for tied parameters, no width that a parameter is given by its name can be simulated
            exactly, or no format of a width holds a parameter's range.
    """

    def __init__(
        self,
        parameters: Iterable[ParameterSpec],
        bits: Widths | Mapping[str, Widths] = (2, 16),
        schemes: Sequence[Scheme] = tuple(Scheme),
        roundings: Sequence[Rounding] = tuple(Rounding),
        *,
        rounding_per_family: bool = False,
        ties: Ties | None = None,
        deployment: Deployment = Deployment.INFERENCE,
    ) -> None:
        self.deployment = Deployment(deployment)
        everything = tuple(parameters)
        self.parameters = stored(everything, self.deployment)
        self.searched = tuple(parameter for parameter in self.parameters if parameter.fixed_bits is None)
        _check_names(everything, self.searched)
        self.schemes = _choices("schemes", schemes, Scheme)
        self.roundings = _choices("roundings", roundings, Rounding)
        self._rounding_names = {
            parameter.name: f"rounding.{parameter.family}" if rounding_per_family else "rounding"
            for parameter in self.searched
        }
        names = [parameter.name for parameter in everything]
        self._grids = _collect_grids(self.searched)
        self._width_names = _width_names(self.searched, ties, names)
        self._widths = _collect_widths(self.searched, self._width_names, bits, names)
        _tell_limits(bits, self._widths)

    def __repr__(self) -> str:
        shown = [f"{name}: {low}-{high}" for name, (low, high) in self.widths.items()]
        more = f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        return (
            f"QuantizationSpace({self.cardinality:,} configurations; {' or '.join(self.schemes)}; "
            f"{' or '.join(self.roundings)}; bits {', '.join(shown[:_SHOWN])}{more})"
        )

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of every dimension, in the order in which they are suggested."""
        rounding = CategoricalDistribution([choice.value for choice in self.roundings])
        return {
            "scheme": CategoricalDistribution([choice.value for choice in self.schemes]),
            **dict.fromkeys(self._rounding_names.values(), rounding),
            **{name: CategoricalDistribution([grid.value for grid in grids]) for name, grids in self._grids.items()},
            **{name: IntDistribution(low, high) for name, (low, high) in self._widths.items()},
        }

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """First and last width of every parameter, or group of tied ones, by its name."""
        return {parameter_of(dimension): widths for dimension, widths in self._widths.items()}

    @property
    def cardinality(self) -> int:
        """Number of configurations."""
        sizes = [len(self.schemes)]
        sizes += [len(self.roundings) for _ in set(self._rounding_names.values())]
        sizes += [len(grids) for grids in self._grids.values()]
        sizes += [high - low + 1 for low, high in self._widths.values()]
        return math.prod(sizes)

    def suggest(self, trial: optuna.Trial | optuna.trial.BaseTrial) -> QuantizationConfig:
        """The configuration that the study's sampler suggests for ``trial``."""
        params: dict[str, Any] = {}
        for name, distribution in self.distributions.items():
            if isinstance(distribution, IntDistribution):
                params[name] = trial.suggest_int(name, distribution.low, distribution.high)
            elif isinstance(distribution, CategoricalDistribution):
                params[name] = trial.suggest_categorical(name, distribution.choices)
        return self.config(params)

    def config(self, params: Mapping[str, Any]) -> QuantizationConfig:
        """The configuration of a trial, from its ``trial.params``; parameters of other origin are ignored.

        Raises:
            ValueError: If a dimension of the space is missing or its value is not among the choices.
        """
        for name, distribution in self.distributions.items():
            if name not in params:
                raise ValueError(f"params must have {name!r}, got {sorted(params)}: is the trial of another space?")
            if not _contains(distribution, params[name]):
                raise ValueError(f"params[{name!r}] must be within {distribution}, got {params[name]!r}.")
        quantizations = {
            parameter.name: ParameterQuantization(
                parameter.format(params[self._width_names[parameter.name]], _grid_in(params, parameter)),
                Rounding(params[self._rounding_names[parameter.name]]),
            )
            for parameter in self.searched
        }
        return QuantizationConfig(Scheme(params["scheme"]), quantizations)

    def params(self, config: QuantizationConfig) -> dict[str, Any]:
        """The inverse of :meth:`config`: what ``study.enqueue_trial`` takes.

        Raises:
            ValueError: If ``config`` is not of this space.
        """
        if set(config.parameters) != set(self._width_names):
            raise ValueError(f"config must quantize {sorted(self._width_names)}, got {sorted(config.parameters)}.")
        params: dict[str, Any] = {"scheme": config.scheme.value}
        params |= {self._rounding_names[name]: rounding.value for name, rounding in config.roundings.items()}
        params |= {self._width_names[name]: width for name, width in config.bits.items()}
        params |= {
            _grid_name(parameter): config[parameter.name].format.grid.value
            for parameter in self.searched
            if len(parameter.grids) > 1
        }
        try:
            same = self.config(params) == config
        except ValueError as error:
            raise ValueError(f"config must be a point of the space, got {config.to_dict()}: {error}") from error
        if not same:
            raise ValueError(
                f"config must be a point of the space, got {config.to_dict()}: tied parameters differ, or formats "
                "have other ranges than the space's."
            )
        return params

    def uniform(self, width: int, scheme: Scheme, rounding: Rounding) -> QuantizationConfig:
        """The configuration in which every parameter has ``width`` bits, or the end of its range nearest to that."""
        params: dict[str, Any] = {"scheme": Scheme(scheme).value}
        params |= dict.fromkeys(self._rounding_names.values(), Rounding(rounding).value)
        params |= {name: grids[0].value for name, grids in self._grids.items()}
        params |= {name: min(max(width, low), high) for name, (low, high) in self._widths.items()}
        return self.config(params)

    def narrow(self, report: WidthReport) -> QuantizationSpace:
        """The same space with only those widths that ``report`` finds worth a search; others stay as they are.

        Raises:
            ValueError: If the report is of parameters that the space does not search, or of no width that it has.
        """
        widths = dict(self._widths)
        for parameter, found in report.worth_searching.items():
            name = width_name(parameter)
            if name not in widths:
                raise ValueError(f"report must be of widths of this space, {list(self.widths)}, got {parameter!r}.")
            common = _intersection(widths[name], found)
            if common is None:
                raise ValueError(
                    f"report must find widths of {parameter!r} within {widths[name]} worth a search, got {found}."
                )
            widths[name] = common
        return self._with(_widths=widths)

    def restrict(
        self,
        bits: Widths | Mapping[str, Widths] | None = None,
        schemes: Sequence[Scheme] | None = None,
        roundings: Sequence[Rounding] | None = None,
    ) -> QuantizationSpace:
        """The part of the space that has these widths, schemes and roundings; what is not given stays as it is.

        Args:
            bits: First and last width of every parameter, or a mapping from parameters, groups of tied ones and
                families to widths, in which a parameter goes before its group, and that before its family.
            schemes: The schemes to keep.
            roundings: The roundings to keep.

        Raises:
            ValueError: If an argument is malformed, names what the space does not have, or leaves nothing of it.
        """
        return self._with(
            schemes=self.schemes if schemes is None else _kept("schemes", self.schemes, schemes, Scheme),
            roundings=self.roundings if roundings is None else _kept("roundings", self.roundings, roundings, Rounding),
            _widths=self._widths if bits is None else _restricted(self._widths, self._names_of_widths, bits),
        )

    def footprint(self, config: QuantizationConfig) -> Footprint:
        """Memory of a configuration, without evaluating it."""
        return Footprint.of(self.parameters, config.bits, self.deployment)

    def to_dict(self) -> dict[str, Any]:
        """A plain description, equal for equal spaces, by which a study recognizes its own."""
        return {
            "deployment": self.deployment.value,
            "parameters": {
                parameter.name: {
                    "family": parameter.family.value,
                    "count": parameter.count,
                    "baseline_count": parameter.count if parameter.baseline_count is None else parameter.baseline_count,
                    "formats": self._format_names(parameter),
                    "dimensions": [self._width_names.get(parameter.name), self._rounding_names.get(parameter.name)],
                }
                for parameter in self.parameters
            },
            "dimensions": {
                name: optuna.distributions.distribution_to_json(distribution)
                for name, distribution in self.distributions.items()
            },
        }

    def _with(self, **attributes: Any) -> QuantizationSpace:
        """A copy with other choices or widths, which are checked."""
        changed = copy.copy(self)
        vars(changed).update(attributes)
        return changed

    @property
    def _names_of_widths(self) -> dict[str, tuple[list[str], ...]]:
        """Names by which the width of each dimension can be given: its parameters, its group, their families."""
        names: dict[str, tuple[list[str], ...]] = {}
        for dimension in self._widths:
            members = [parameter for parameter in self.searched if self._width_names[parameter.name] == dimension]
            families = dict.fromkeys(parameter.family.value for parameter in members)
            names[dimension] = ([member.name for member in members], [parameter_of(dimension)], list(families))
        return names

    def _format_names(self, parameter: ParameterSpec) -> list[str]:
        """Names of the formats that the widths of a parameter give."""
        if parameter.fixed_bits is not None:
            return [f"{parameter.fixed_bits} bits"]
        low, high = self._widths[self._width_names[parameter.name]]
        return [str(parameter.format(width, grid)) for grid in parameter.grids for width in range(low, high + 1)]


def _grid_name(parameter: ParameterSpec) -> str:
    """The dimension that holds the grid of a parameter, if there is a choice."""
    return f"grid.{parameter.family}"


def _grid_in(params: Mapping[str, Any], parameter: ParameterSpec) -> GridKind | None:
    """The grid that a trial has chosen for a parameter; None if there is no choice."""
    return GridKind(params[_grid_name(parameter)]) if len(parameter.grids) > 1 else None


def _collect_grids(searched: Sequence[ParameterSpec]) -> dict[str, tuple[GridKind, ...]]:
    """The grids of every family that has a choice.

    Raises:
        ValueError: If parameters of a family have different ones to choose from.
    """
    collected: dict[str, tuple[GridKind, ...]] = {}
    for parameter in searched:
        if len(parameter.grids) > 1:
            grids = collected.setdefault(_grid_name(parameter), parameter.grids)
            if grids != parameter.grids:
                raise ValueError(
                    f"grids of all parameters of the family {parameter.family.value!r} that have several must be the "
                    f"same, got {[*map(str, parameter.grids)]} for {parameter.name!r}."
                )
    return collected


def _collect_widths(
    searched: Sequence[ParameterSpec],
    dimensions: Mapping[str, str],
    bits: Widths | Mapping[str, Widths],
    names: Sequence[str],
) -> dict[str, tuple[int, int]]:
    """First and last width of every dimension that is a width."""
    if isinstance(bits, Mapping):
        known = {*names, *(family.value for family in Family)}
        unknown = sorted(str(name) for name in bits if name not in known)
        if unknown:
            raise ValueError(f"bits must name parameters or families, got {unknown}; known are {sorted(known)}.")
    wanted: dict[str, tuple[int, int]] = {}
    collected: dict[str, tuple[int, int]] = {}
    for parameter in searched:
        dimension, widths = dimensions[parameter.name], _widths_of(parameter, bits)
        tied = wanted.setdefault(dimension, widths)
        if tied != widths:
            raise ValueError(
                f"bits of the tied parameters in {dimension!r} must be the same, got {tied} and {widths} for "
                f"{parameter.name!r}: name the same widths for all of them in bits, or do not tie them."
            )
        # Tied parameters go as far as all of them can.
        low, high = collected.get(dimension, widths)
        collected[dimension] = (min(low, parameter.max_bits), min(high, parameter.max_bits))
    for parameter in searched:
        for width in collected[dimensions[parameter.name]]:
            for grid in parameter.grids:
                parameter.format(width, grid)
    _tell_of_limits(wanted, collected, named=isinstance(bits, Mapping))
    return collected


def _tell_of_limits(
    wanted: Mapping[str, tuple[int, int]], collected: Mapping[str, tuple[int, int]], *, named: bool
) -> None:
    """Warn of widths that are not as asked for: plain ones that even begin too high, or named ones."""
    limited = [
        f"{_range(widths)} instead of {_range(wanted[dimension])} for {parameter_of(dimension)!r}"
        for dimension, widths in collected.items()
        if widths[0] < wanted[dimension][0] or (named and widths != wanted[dimension])
    ]
    if limited:
        warnings.warn(f"bits go as far as can be simulated exactly: {', '.join(limited)}.", stacklevel=4)


def _range(widths: tuple[int, int]) -> str:
    low, high = widths
    return str(low) if low == high else f"{low}-{high}"


def _tell_limits(bits: Widths | Mapping[str, Widths], widths: Mapping[str, tuple[int, int]]) -> None:
    """Log, in a line for each width, what is searched less far than was asked for; a mapping is taken by the word."""
    if isinstance(bits, Mapping):
        return
    _, asked = _width_pair("every parameter", bits)
    limited: dict[int, list[str]] = {}
    for dimension, (_, last) in widths.items():
        if last < asked:
            limited.setdefault(last, []).append(parameter_of(dimension))
    for last, names in sorted(limited.items()):
        _LOGGER.info(
            f"Widths of {', '.join(names)} go to {last}, not to {asked} bits: wider ones are not simulated exactly."
        )


def _check_names(parameters: Sequence[ParameterSpec], searched: Sequence[ParameterSpec]) -> None:
    if not searched:
        raise ValueError("parameters must have at least one that is stored and has no fixed width, got none.")
    names = [parameter.name for parameter in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"parameters must have different names, got {twice} more than once.")


def _choices(argument: str, values: Sequence[_Choice], kind: type[_Choice]) -> tuple[_Choice, ...]:
    known = [choice.value for choice in kind]
    if isinstance(values, str) or not isinstance(values, Collection):
        raise ValueError(f"{argument} must be a list or tuple chosen from {known}, got {values!r}.")
    if not values or any(value not in known for value in values):
        raise ValueError(f"{argument} must be chosen from {known}, got {values!r}.")
    return tuple(dict.fromkeys(kind(value) for value in values))


def _kept(
    argument: str, searched: Sequence[_Choice], values: Sequence[_Choice], kind: type[_Choice]
) -> tuple[_Choice, ...]:
    """Those of the choices of a space that are among ``values``."""
    wanted = _choices(argument, values, kind)
    kept = tuple(choice for choice in searched if choice in wanted)
    if not kept:
        raise ValueError(
            f"{argument} must keep one of {[choice.value for choice in searched]}, which the space has, "
            f"got {[choice.value for choice in wanted]}."
        )
    return kept


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution)
    return _is_whole(value) and distribution.low <= value <= distribution.high


def _width_names(parameters: Sequence[ParameterSpec], ties: Ties | None, names: Sequence[str]) -> dict[str, str]:
    """Name of the dimension that holds the width of each parameter; ``names`` are those of all parameters."""
    if isinstance(ties, Mapping):
        _check_groups(ties, names)
    elif ties not in (None, "family", "layer"):
        raise ValueError(f'ties must be "family", "layer" or a mapping from parameters to groups, got {ties!r}.')
    groups: dict[str, str] = {}
    for parameter in parameters:
        group = parameter.name
        if ties == "family":
            group = parameter.family.value
        elif ties == "layer":
            group = parameter.name.rpartition(".")[0] or parameter.name
        elif isinstance(ties, Mapping):
            group = ties.get(parameter.name, parameter.name)
        groups[parameter.name] = width_name(group)
    return groups


def _check_groups(ties: Mapping[str, str], names: Sequence[str]) -> None:
    unknown = [name for name in ties if name not in names]
    if unknown:
        raise ValueError(f"ties must name parameters, got {unknown}; known are {list(names)}.")
    taken = [group for group in ties.values() if group in names and group not in ties]
    if taken:
        raise ValueError(f"ties must not name a group like a parameter outside of it, got {taken}: tie that too.")


def _widths_of(parameter: ParameterSpec, bits: Widths | Mapping[str, Widths]) -> tuple[int, int]:
    """First and last width that a parameter is given, whether it can have them or not."""
    widths: Any = bits
    if isinstance(bits, Mapping):
        if parameter.name not in bits and parameter.family not in bits:
            raise ValueError(
                f"bits must give the widths of {parameter.name!r} or of its family {parameter.family.value!r}, "
                f"got those of {[str(name) for name in bits]}."
            )
        widths = bits[parameter.name] if parameter.name in bits else bits[parameter.family]
    low, high = _width_pair(parameter.name, widths)
    if isinstance(bits, Mapping) and parameter.name in bits and low > parameter.max_bits:
        raise ValueError(
            f"bits of {parameter.name!r} must begin at {parameter.max_bits} or below, which can be simulated exactly, "
            f"got {widths!r}."
        )
    return low, high


def _width_pair(name: str, widths: Any) -> tuple[int, int]:
    """First and last width of what is called ``name``."""
    pair = (widths, widths) if isinstance(widths, int | np.integer) else widths
    if not isinstance(pair, Sequence) or len(pair) != 2 or not all(_is_whole(width) for width in pair):
        raise ValueError(f"bits of {name!r} must be one integer or a first and a last, got {widths!r}.")
    low, high = (int(width) for width in pair)
    if not 1 <= low <= high <= MAX_BITS:
        raise ValueError(
            f"bits of {name!r} must be between 1 and {MAX_BITS}, the first not over the last, got {widths!r}."
        )
    return low, high


def _restricted(
    widths: Mapping[str, tuple[int, int]],
    names: Mapping[str, tuple[list[str], ...]],
    bits: Widths | Mapping[str, Widths],
) -> dict[str, tuple[int, int]]:
    """First and last width of every dimension within ``bits``, by the most specific of its names that it has."""
    known = {name for levels in names.values() for level in levels for name in level}
    if isinstance(bits, Mapping) and not known.issuperset(bits):
        unknown = sorted(str(name) for name in bits if name not in known)
        raise ValueError(f"bits must name what is searched, one of {sorted(known)}, got {unknown}.")
    restricted = dict(widths)
    for dimension, (low, high) in widths.items():
        for name, given in _given_widths(names[dimension], bits):
            common = _intersection(restricted[dimension], _width_pair(name, given))
            if common is None:
                raise ValueError(
                    f"bits of {name!r} must have a width in common with {low} to {high}, which the space has for "
                    f"{parameter_of(dimension)!r}, got {given!r}."
                )
            restricted[dimension] = common
    return restricted


def _given_widths(names: Sequence[list[str]], bits: Widths | Mapping[str, Widths]) -> list[tuple[str, Widths]]:
    """The names of a dimension that ``bits`` has, of the first kind of which it has any, with their widths."""
    if not isinstance(bits, Mapping):
        return [(names[0][0], bits)]
    levels = [[(name, bits[name]) for name in level if name in bits] for level in names]
    return next((level for level in levels if level), [])


def _intersection(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int] | None:
    """The widths that two ranges have in common; None if there are none."""
    low, high = max(first[0], second[0]), min(first[1], second[1])
    return (low, high) if low <= high else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
