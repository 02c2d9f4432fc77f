"""What every parameter alone is expected to lose at narrow widths: what a study knows before its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import optuna
from optuna.distributions import IntDistribution, json_to_distribution

from qspinn_optuna.space import is_width, parameter_of
from qspinn_optuna.study.attributes import StudyAttribute, read, write
from qspinn_optuna.study.identity import space_of


@dataclass(frozen=True)
class Sensitivity:
    """Expected losses of accuracy with one parameter at a width, and all others at their widest.

    An expectation and no measurement of accuracy: a sampler begins with it, and trials overrule it. Of
    :func:`~qspinn_optuna.significance.measure_sensitivity`, or what you know yourself.

    Example:
        >>> sensitivity = Sensitivity({"fc.weight": {2: 0.3, 3: 0.05}, "lif.v": {2: 0.01}})
        >>> sensitivity.samples
        0

    Args:
        losses: Share of the accuracy above guessing that is lost, 0 to 1, at some widths, by the name of a parameter or
            of a group of tied ones, as in ``space.widths``; copied and read-only.
        networks: Quantized networks by which it was measured.
        samples: Samples that went through them in all.

    Raises:
        ValueError: If there are no losses, one is not a number from 0 to 1, or a count is negative.
    """

    losses: Mapping[str, Mapping[int, float]]
    networks: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.losses, Mapping) or not self.losses:
            raise ValueError(f"losses must be those of at least one parameter, got {self.losses!r}.")
        checked = {name: MappingProxyType(_checked(name, curve)) for name, curve in self.losses.items()}
        object.__setattr__(self, "losses", MappingProxyType(checked))
        for count in ("networks", "samples"):
            if not isinstance(getattr(self, count), Integral) or getattr(self, count) < 0:
                raise ValueError(f"{count} must be a number of them, got {getattr(self, count)!r}.")

    def __hash__(self) -> int:
        return hash((frozenset(self.losses), self.networks, self.samples))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy does not pickle or deepcopy; a dict does.
        plain = {name: dict(curve) for name, curve in self.losses.items()}
        return type(self), (plain, self.networks, self.samples)

    def most_sensitive(self, count: int) -> list[tuple[str, float]]:
        """Parameters that lose most at their narrowest width, with that loss, the largest first."""
        narrowest = {name: curve[min(curve)] for name, curve in self.losses.items()}
        return sorted(narrowest.items(), key=lambda item: -item[1])[:count]

    def to_dict(self) -> dict[str, Any]:
        """A dict for JSON; :meth:`from_dict` reads it back."""
        losses = {name: {str(width): loss for width, loss in curve.items()} for name, curve in self.losses.items()}
        return {"losses": losses, "networks": self.networks, "samples": self.samples}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sensitivity:
        """The sensitivity that ``to_dict`` wrote.

        Raises:
            ValueError: If it did not.
        """
        try:
            losses = {
                name: {int(width): loss for width, loss in curve.items()} for name, curve in values["losses"].items()
            }
            return cls(losses, values["networks"], values["samples"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"values must be what Sensitivity.to_dict wrote, got {values!r}: {error}") from error


def record_sensitivity(study: optuna.Study, sensitivity: Sensitivity) -> None:
    """Store a sensitivity in a study, in place of an earlier one, for its sampler to begin with.

    Example:
        >>> study = open_study("sensitivity", None, space, workload=workload)
        >>> record_sensitivity(study, Sensitivity({"fc.weight": {2: 0.3}}))
        >>> dict(recorded_sensitivity(study).losses["fc.weight"])
        {2: 0.3}

    Args:
        study: A study of :func:`~qspinn_optuna.open_study`.
        sensitivity: Of the parameters that the study searches, or of some of them.

    Raises:
        TypeError: If ``sensitivity`` is of another type.
        ValueError: If it is of parameters that the study does not search, or of none of the widths that it searches.
    """
    if not isinstance(sensitivity, Sensitivity):
        raise TypeError(f"sensitivity must be a Sensitivity, got {type(sensitivity).__name__}.")
    space = space_of(study)
    if space is not None:
        _check_searched(sensitivity, study.study_name, _searched_widths(space))
    write(study, StudyAttribute.SENSITIVITY, sensitivity.to_dict())


def recorded_sensitivity(study: optuna.Study) -> Sensitivity | None:
    """The sensitivity that a study stores; None if there is none.

    Example:
        >>> recorded_sensitivity(open_study("without", None, space, workload=workload)) is None
        True

    Raises:
        ValueError: If the stored value is not one.
    """
    values = read(study, StudyAttribute.SENSITIVITY)
    return None if values is None else Sensitivity.from_dict(values)


def _checked(name: str, curve: Mapping[int, float]) -> dict[int, float]:
    if not isinstance(curve, Mapping):
        raise ValueError(f"losses of {name} must be by width, such as {{2: 0.1}}, got {curve!r}.")
    for width, loss in curve.items():
        if not isinstance(width, Integral) or isinstance(width, bool) or width < 1:
            raise ValueError(f"losses must be given at widths in bits, got {width!r} for {name}.")
        if not isinstance(loss, Real) or isinstance(loss, bool) or not 0 <= loss <= 1:
            raise ValueError(f"losses must be shares from 0 to 1, got {loss!r} for {name} at {width} bits.")
    if not curve:
        raise ValueError(f"losses must be given at one width or more, got none for {name}.")
    return {int(width): float(curve[width]) for width in sorted(curve)}


def _searched_widths(space: Mapping[str, Any]) -> dict[str, range]:
    """Widths that a space searches, by parameter or group of tied ones; a single width is not searched."""
    dimensions = {name: json_to_distribution(text) for name, text in space["dimensions"].items() if is_width(name)}
    return {
        parameter_of(name): range(dimension.low, dimension.high + 1)
        for name, dimension in dimensions.items()
        if isinstance(dimension, IntDistribution) and not dimension.single()
    }


def _check_searched(sensitivity: Sensitivity, study: str, widths: Mapping[str, range]) -> None:
    unknown = [name for name in sensitivity.losses if name not in widths]
    if unknown:
        raise ValueError(
            f"sensitivity must be of parameters whose widths study {study!r} searches, which are "
            f"{', '.join(map(repr, widths)) or 'none'}, got {', '.join(map(repr, unknown))}."
        )
    for name, curve in sensitivity.losses.items():
        if not any(width in widths[name] for width in curve):
            raise ValueError(
                f"sensitivity of {name!r} must be at some of the widths that study {study!r} searches, "
                f"{widths[name][0]} to {widths[name][-1]} bits, got {', '.join(map(str, curve))}."
            )
