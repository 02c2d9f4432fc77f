"""The search space: parameters and choices to Optuna's distributions, and trials back to configurations."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.parameters import Deployment, Family, Footprint, ParameterSpec, stored

Widths = int | tuple[int, int]
"""The widths that are searched: one, or a first and a last, both included."""

Ties = Literal["family", "layer"] | Mapping[str, str]
"""Which parameters share their width; see :class:`QuantizationSpace`."""

_WIDTH = "bits."
"""What the names of dimensions that are widths begin with."""

_Choice = TypeVar("_Choice", bound=StrEnum)


class WidthReport(Protocol):
    """Something that knows which widths are worth a search, such as a report of significance."""

    @property
    def worth_searching(self) -> Mapping[str, tuple[int, int]]:
        """First and last width of dimensions, by their names without "bits."."""
        ...


class QuantizationSpace:
    """The scheme, the rounding and the width of every parameter, as dimensions of an Optuna study.

    The names of the dimensions are ``scheme``, ``rounding`` (or ``rounding.<family>``) and ``bits.<parameter>`` (or
    ``bits.<group>`` of tied parameters). The range of a parameter and a width give its format.

    Example:
        .. code-block:: python

            def objective(trial):
                config = space.suggest(trial)
                return space.footprint(config).kib, accuracy(config)

    Args:
        parameters: What can be quantized; those with a fixed width are counted, not searched.
        bits: First and last width of every parameter, as far as its ``max_bits`` goes, of tied parameters the smallest;
            or a mapping from parameter
            names and families to widths, in which a name goes before its family.
        schemes: The schemes to choose from.
        roundings: The roundings to choose from.
        rounding_per_family: Whether each family has a rounding of its own, instead of one for all.
        ties: "family" gives a family one width, "layer" those whose name agrees up to its last dot, a mapping from
            parameters to groups those of a group. Parameters it leaves out keep a width of their own.
        deployment: What the device does; parameters that it does not store are not searched.

    Raises:
        ValueError: If there is nothing to search or choose from, a name occurs twice, widths are missing, outside
            1-24 or not the same for tied parameters, or no format of a width holds a parameter's range.
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
        self._width_names = _width_names(self.searched, ties, names)
        self._widths = self._collect_widths(bits, names)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distribution of every dimension, in the order in which they are suggested."""
        rounding = CategoricalDistribution([choice.value for choice in self.roundings])
        return {
            "scheme": CategoricalDistribution([choice.value for choice in self.schemes]),
            **dict.fromkeys(self._rounding_names.values(), rounding),
            **{name: IntDistribution(low, high) for name, (low, high) in self._widths.items()},
        }

    @property
    def cardinality(self) -> int:
        """Number of configurations."""
        sizes = [len(self.schemes)]
        sizes += [len(self.roundings) for _ in set(self._rounding_names.values())]
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
                parameter.format(params[self._width_names[parameter.name]]),
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
        params |= {name: min(max(width, low), high) for name, (low, high) in self._widths.items()}
        return self.config(params)

    def narrow(self, report: WidthReport) -> QuantizationSpace:
        """The same space with only those widths that ``report`` finds worth a search; others stay as they are.

        Raises:
            ValueError: If the report is of parameters that the space does not search, or of no width that it has.
        """
        widths = dict(self._widths)
        for parameter, (first, last) in report.worth_searching.items():
            name = f"bits.{parameter}"
            if name not in widths:
                known = [known.removeprefix("bits.") for known in widths]
                raise ValueError(f"report must be of widths of this space, {known}, got {parameter!r}.")
            low, high = max(first, widths[name][0]), min(last, widths[name][1])
            if low > high:
                raise ValueError(
                    f"report must find widths of {parameter!r} within {widths[name]} worth a search, "
                    f"got {(first, last)}."
                )
            widths[name] = (low, high)
        narrowed = copy.copy(self)
        narrowed._widths = widths
        return narrowed

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

    def _format_names(self, parameter: ParameterSpec) -> list[str]:
        """Names of the formats that the widths of a parameter give."""
        if parameter.fixed_bits is not None:
            return [f"{parameter.fixed_bits} bits"]
        low, high = self._widths[self._width_names[parameter.name]]
        return [str(parameter.format(width)) for width in range(low, high + 1)]

    def _collect_widths(self, bits: Widths | Mapping[str, Widths], names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """First and last width of every ``bits.`` dimension."""
        if isinstance(bits, Mapping):
            known = {*names, *(family.value for family in Family)}
            unknown = sorted(str(name) for name in bits if name not in known)
            if unknown:
                raise ValueError(f"bits must name parameters or families, got {unknown}; known are {sorted(known)}.")
        collected: dict[str, tuple[int, int]] = {}
        for parameter in self.searched:
            low, high = _widths_of(parameter, bits)
            for width in (low, high):
                parameter.format(width)
            dimension = self._width_names[parameter.name]
            tied = collected.setdefault(dimension, (low, high))
            if tied != (low, high) and isinstance(bits, Mapping):
                raise ValueError(
                    f"bits of the tied parameters in {dimension!r} must be the same, got {tied} and {(low, high)} for "
                    f"{parameter.name!r}: name the same widths for all of them in bits, or do not tie them."
                )
            # Plain widths go as far as every parameter can: the first is common to all.
            collected[dimension] = (low, min(tied[1], high))
        return collected


def is_width(dimension: str) -> bool:
    """Whether a dimension, by its name, is the width of a parameter or of tied parameters."""
    return dimension.startswith(_WIDTH)


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
        groups[parameter.name] = f"bits.{group}"
    return groups


def _check_groups(ties: Mapping[str, str], names: Sequence[str]) -> None:
    unknown = [name for name in ties if name not in names]
    if unknown:
        raise ValueError(f"ties must name parameters, got {unknown}; known are {list(names)}.")
    taken = [group for group in ties.values() if group in names and group not in ties]
    if taken:
        raise ValueError(f"ties must not name a group like a parameter outside of it, got {taken}: tie that too.")


def _widths_of(parameter: ParameterSpec, bits: Widths | Mapping[str, Widths]) -> tuple[int, int]:
    """First and last width of a parameter."""
    widths: Any = bits
    if isinstance(bits, Mapping):
        if parameter.name not in bits and parameter.family not in bits:
            raise ValueError(
                f"bits must give the widths of {parameter.name!r} or of its family {parameter.family.value!r}, "
                f"got those of {[str(name) for name in bits]}."
            )
        widths = bits[parameter.name] if parameter.name in bits else bits[parameter.family]
    pair = (widths, widths) if isinstance(widths, int | np.integer) else widths
    if not isinstance(pair, Sequence) or len(pair) != 2 or not all(_is_whole(width) for width in pair):
        raise ValueError(f"bits of {parameter.name!r} must be one integer or a first and a last, got {widths!r}.")
    low, high = (int(width) for width in pair)
    if not 1 <= low <= high <= MAX_BITS:
        raise ValueError(
            f"bits of {parameter.name!r} must be between 1 and {MAX_BITS}, the first not over the last, got {widths!r}."
        )
    if not isinstance(bits, Mapping) and low <= parameter.max_bits:
        return low, min(high, parameter.max_bits)
    if high > parameter.max_bits:
        raise ValueError(
            f"bits of {parameter.name!r} must be at most {parameter.max_bits}, which can be simulated exactly, "
            f"got {widths!r}."
        )
    return low, high


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
