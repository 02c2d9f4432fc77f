"""The identity of a study: its space, and the description of its workload."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, json_to_distribution

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study.attributes import StudyAttribute, read, write
from qspinn_optuna.study.objectives import DIRECTIONS, OBJECTIVES, check_directions
from qspinn_optuna.study.version import record_version
from qspinn_optuna.workloads.protocol import STOCHASTIC_ROUNDING

_SHOWN, _SHOWN_LENGTH = 5, 80
"""Differences between studies that an error shows, and characters of each value."""


Difference = tuple[str, Any, Any]
"""What differs, such as "workload.network.neurons", as it was and as it is now."""


class DifferentStudyError(ValueError):
    """A study began with another space or another workload.

    Args:
        name: Of the study.
        differences: What differs.
    """

    def __init__(self, name: str, differences: Sequence[Difference]) -> None:
        super().__init__(name, differences)
        self.name = name
        self.differences = tuple(differences)

    def __str__(self) -> str:
        return self.told(lambda what: what)

    def told(self, name_of: Callable[[str], str], where: str = "another study name") -> str:
        """The message.

        Args:
            name_of: What to call that which differs.
            where: What else to go on with.
        """
        shown = [
            f"{name_of(what)} was {_shortened(old)}, now {_shortened(new)}"
            for what, old, new in self.differences[:_SHOWN]
        ]
        more = len(self.differences) - _SHOWN
        return (
            f"Study {self.name!r} began differently: {'; '.join(shown)}"
            f"{f'; and {more} more that differ' if more > 0 else ''}. "
            f"Go on with what it began with, or give {where}."
        )


def identity_of(space: QuantizationSpace, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of a study, as its storage will return it.

    Args:
        space: The search space.
        settings: The description of the workload: plain values on which accuracies depend.

    Raises:
        TypeError: If ``settings`` is not a mapping, or has a value that JSON cannot hold.
    """
    description = description_of(space)
    return {"space": description, "settings": _relevant(_plain(settings), description)}


def _relevant(settings: dict[str, Any], space: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings without those of a rounding that a space does not offer."""
    if space is None or _offers(space, Rounding.STOCHASTIC):
        return settings
    return {name: value for name, value in settings.items() if name != STOCHASTIC_ROUNDING}


def _offers(space: Mapping[str, Any], rounding: Rounding) -> bool:
    dimensions = map(json_to_distribution, space["dimensions"].values())
    return any(isinstance(one, CategoricalDistribution) and rounding.value in one.choices for one in dimensions)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a storage gives them back."""
    if not isinstance(settings, Mapping):
        raise TypeError(f"workload.describe() must return a mapping, got {type(settings).__name__}.")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"workload.describe() must return values that JSON can hold, got {dict(settings)!r}: {error}"
        ) from error
    return plain


def description_of(space: QuantizationSpace) -> dict[str, Any]:
    """The description of a space, as a storage will return it: JSON turns tuples into lists."""
    description: dict[str, Any] = json.loads(json.dumps(space.to_dict()))
    return description


def identify(study: optuna.Study, identity: Mapping[str, Any]) -> None:
    """Store the identity, the names of the objectives and the package's version in a study without trials."""
    with warnings.catch_warnings():
        # Metric names are experimental in Optuna; the dashboard shows them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(OBJECTIVES))
    record_version(study)
    write(study, StudyAttribute.IDENTITY, identity)


def is_new(study: optuna.Study) -> bool:
    """Whether a study has the right directions and neither an identity nor trials."""
    is_empty = read(study, StudyAttribute.IDENTITY) is None and not study.get_trials(deepcopy=False)
    return is_empty and tuple(study.directions) == DIRECTIONS


def check_identity(study: optuna.Study, identity: Mapping[str, Any]) -> None:
    """Refuse a study of another identity.

    Raises:
        DifferentStudyError: If its space or settings differ.
        ValueError: If its directions differ, or another program created it.
    """
    check_directions(study)
    known = read(study, StudyAttribute.IDENTITY)
    if known is None:
        raise ValueError(f"Study {study.study_name!r} was made by another program: give another study name.")
    differences = [
        (f"{name}.{key}", old, new)
        for part, name in (("settings", "workload"), ("space", "space"))
        for key, old, new in _differences(known.get(part, {}), identity[part])
    ]
    if differences:
        raise DifferentStudyError(study.study_name, _telling(differences))


def check_settings(study: optuna.Study, settings: Mapping[str, Any]) -> None:
    """Refuse a study of another workload, by what the workload says of itself; the space is not looked at.

    Raises:
        TypeError: If ``settings`` is not a mapping, or holds a value that JSON cannot.
        ValueError: If the study's directions or settings differ, or another program made it.
    """
    space = space_of(study)
    check_identity(study, {"space": space, "settings": _relevant(_plain(settings), space)})


def space_of(study: optuna.Study) -> dict[str, Any] | None:
    """The description of the space that a study searches; None if another program created the study."""
    identity: dict[str, Any] = read(study, StudyAttribute.IDENTITY) or {}
    return identity.get("space")


def check_space(study: optuna.Study, description: Mapping[str, Any]) -> None:
    """Refuse the description of another space than that of a study; a study without a description accepts all.

    Raises:
        ValueError: If the study searches another space.
    """
    searched = space_of(study)
    if searched is not None and searched != description:
        raise ValueError(
            f"space must be the one that study {study.study_name!r} searches, got another: give the sampler and the "
            "objective the same space as open_study."
        )


def _telling(differences: list[Difference]) -> list[Difference]:
    """Without what follows from other widths: formats of parameters."""
    is_narrowed = any(what.startswith("space.dimensions.") for what, _, _ in differences)
    return [one for one in differences if not (is_narrowed and one[0].startswith("space.parameters."))]


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[Difference]:
    """(key, old value, new value) of every difference; nested dicts have dotted keys."""
    found: list[Difference] = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found += _differences(was, now, f"{prefix}{key}.")
        elif was != now:
            found.append((f"{prefix}{key}", was, now))
    return found


def _shortened(value: Any) -> str:
    text = _distribution_in_words(value) or json.dumps(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _distribution_in_words(value: Any) -> str | None:
    """The values of a dimension, if that is what is described."""
    try:
        distribution = json_to_distribution(value)
    except (TypeError, ValueError):
        return None
    if isinstance(distribution, CategoricalDistribution):
        return " or ".join(map(str, distribution.choices))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return f"{distribution.low} to {distribution.high}"
