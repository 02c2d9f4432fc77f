"""Arguments that all figures refuse, and the common look of figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import optuna
import plotly.graph_objects as go
import pytest
from optuna.trial import create_trial

from qspinn_optuna import ParetoFront, QuantizationObjective, TradeOffSelector
from qspinn_optuna.study import DIRECTIONS, set_accuracy_floor
from qspinn_optuna.visualization import (
    plot_bit_allocation,
    plot_devices,
    plot_footprint,
    plot_front,
    plot_hypervolume,
    plot_schemes_and_roundings,
    plot_winner_by_mu,
)
from qspinn_optuna.visualization.style import CHOICE_COLOR
from tests.fake_workload import FakeWorkload, fake_space

Draw = Callable[[optuna.Study, ParetoFront], go.Figure]

OF_STUDIES: dict[str, Draw] = {
    "front": plot_front,
    "footprint": plot_footprint,
    "hypervolume": lambda study, _: plot_hypervolume(study),
    "seconds": lambda study, _: plot_hypervolume(study, "seconds"),
    "schemes": lambda study, _: plot_schemes_and_roundings(study),
}
OF_FRONTS: dict[str, Draw] = {
    "front": plot_front,
    "footprint": plot_footprint,
    "bits": lambda _, front: plot_bit_allocation(front),
    "winner": lambda _, front: plot_winner_by_mu(front),
    "devices": lambda _, front: plot_devices(front),
}
studies = pytest.mark.parametrize("draw", OF_STUDIES.values(), ids=OF_STUDIES.keys())
fronts = pytest.mark.parametrize("draw", OF_FRONTS.values(), ids=OF_FRONTS.keys())
everything = pytest.mark.parametrize("draw", (OF_STUDIES | OF_FRONTS).values(), ids=(OF_STUDIES | OF_FRONTS).keys())


@studies
def test_an_empty_study_is_refused(draw: Draw, front: ParetoFront) -> None:
    with pytest.raises(ValueError, match="no finished trial"):
        draw(optuna.create_study(directions=DIRECTIONS), front)


@studies
def test_a_study_without_finite_values_is_refused(draw: Draw, front: ParetoFront) -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trial(create_trial(values=[1.0, math.inf]))
    with pytest.raises(ValueError, match="no finished trial"):
        draw(study, front)


@studies
def test_a_study_of_another_program_is_refused(draw: Draw, front: ParetoFront) -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trial(create_trial(values=[1.0, 0.5]))
    with pytest.raises(ValueError, match=r"^Trial 0\b.*another program"):
        draw(study, front)
    with pytest.raises(ValueError, match=r"got directions \['minimize'\]"):
        draw(optuna.create_study(), front)


@studies
def test_another_type_than_a_study_is_refused(draw: Draw, front: ParetoFront) -> None:
    with pytest.raises(TypeError, match=r"^study\b.*got str"):
        draw("sqlite:///qspinn.db", front)  # type: ignore[arg-type]


def test_without_a_feasible_trial_the_message_has_the_distance_to_the_floor() -> None:
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    set_accuracy_floor(study, 0.99)
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space((8, 8))), n_trials=1)
    best = study.trials[0].values[1]
    with pytest.raises(ValueError, match=f"no feasible trial.*{100 * (0.99 - best):.2f} points under"):
        plot_hypervolume(study)
    assert "n = 1" in plot_schemes_and_roundings(study).data[0].name


@fronts
def test_an_empty_front_is_refused(draw: Draw, study: optuna.Study, front: ParetoFront) -> None:
    with pytest.raises(ValueError, match=r"^front\b.*got none"):
        draw(study, dataclasses.replace(front, candidates=()))


@fronts
@pytest.mark.parametrize("broken", [{"accuracy": math.nan}, {"memory_kib": math.inf}, {"memory_kib": 0.0}])
def test_a_front_with_impossible_values_is_refused(
    draw: Draw, study: optuna.Study, front: ParetoFront, broken: dict[str, float]
) -> None:
    candidate = dataclasses.replace(front.candidates[0], **broken)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"^front\b.*got {next(iter(broken.values()))}"):
        draw(study, dataclasses.replace(front, candidates=(candidate, *front.candidates[1:])))


@fronts
def test_another_type_than_a_front_is_refused(draw: Draw, study: optuna.Study) -> None:
    with pytest.raises(TypeError, match=r"^front\b.*got list"):
        draw(study, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("plot", [plot_front, plot_footprint, lambda _, *rest: plot_bit_allocation(*rest)])
def test_another_type_than_a_choice_is_refused(
    plot: Callable[..., go.Figure], study: optuna.Study, front: ParetoFront
) -> None:
    with pytest.raises(TypeError, match=r"^choice\b.*got Candidate"):
        plot(study, front, front.candidates[0])


@everything
def test_a_single_point_suffices(draw: Draw) -> None:
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=1)
    figure = draw(study, ParetoFront.from_study(study))
    assert figure.to_json()


@everything
def test_trials_without_finite_values_are_left_out(draw: Draw) -> None:
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=6)
    before = draw(study, ParetoFront.from_study(study)).to_dict()["data"]
    study.add_trial(create_trial(values=[math.inf, 0.5]))
    after = draw(study, ParetoFront.from_study(study)).to_dict()["data"]
    if draw in (OF_STUDIES["hypervolume"], OF_STUDIES["seconds"]):
        before, after = before[1:], after[1:]  # the line goes on
    assert repr(after) == repr(before)


@everything
def test_text_is_legible_whatever_the_page(draw: Draw, study: optuna.Study, front: ParetoFront) -> None:
    layout = draw(study, front).layout
    style = layout.template.layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor) == (None, None)
    assert style.paper_bgcolor == style.plot_bgcolor
    for color in (style.font.color, CHOICE_COLOR):
        contrast = sorted((luminance(style.paper_bgcolor) + 0.05, luminance(color) + 0.05))
        assert contrast[1] / contrast[0] >= 4.5


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return float(sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def test_choices_of_selectors_are_welcome(study: optuna.Study, front: ParetoFront) -> None:
    choice = TradeOffSelector(0.0).select(front)
    for draw in (partial(plot_front, study), partial(plot_footprint, study), plot_bit_allocation, plot_devices):
        figure: Any = draw(front, choice)
        assert f"trial {choice.trial_number}" in figure.to_json()
