"""The rivals of the sampler in the benchmarks: each does what it says, on spaces where that is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna import Family, ParameterSpec, QuantizationSpace, Rounding, Scheme
from searching.contestants import BUILT_IN, CONTESTANTS, PROPOSED, VARIANTS, make_contestant
from searching.curve_figure import _STYLES
from searching.curves import TITLES, summarize
from searching.formulas import NotMonotone
from searching.problems import make_problem
from searching.rival_table import rival_lines
from searching.rivals.choices import Choices, Params
from searching.rivals.descent import descend
from searching.rivals.engineer import engineer, greedy, narrowest_uniform
from searching.rivals.integer_programme import integer_programme, least_loss, loss_curve
from searching.rivals.proposals import Notes, Proposals, Rival
from searching.rivals.significance_first import significance_first
from searching.runs import Run
from searching.search import search
from tests.fake_workload import FakeWorkload, fake_space

BY_HAND = sorted(set(CONTESTANTS) - {*PROPOSED, *BUILT_IN, "gp-known"})

Measure = Callable[[Params], float]


def space_of(counts: Sequence[int], widths: tuple[int, int] = (1, 8)) -> QuantizationSpace:
    """Weights of so many elements, with one scheme and rounding."""
    parameters = [ParameterSpec(f"w{i}", Family.WEIGHT, count, 0.0, 1.0) for i, count in enumerate(counts)]
    return QuantizationSpace(parameters, widths, [Scheme.ITQ], [Rounding.NEAREST])


def notes_of(space: QuantizationSpace, floor: float = 0.0) -> Notes:
    return Notes(Choices(space), floor, np.random.default_rng(0))


def answered(proposals: Proposals | Iterator[Any], measure: Measure, trials: int = 10_000) -> list[Params]:
    """What a search measures until it ends."""
    measured: list[Params] = []
    try:
        params = next(proposals)
        while len(measured) < trials:
            measured.append(params)
            params = proposals.send(measure(params))  # type: ignore[union-attr]
    except StopIteration:
        pass
    return measured


def exponential(rates: Sequence[float], depths: Sequence[float]) -> Measure:
    """An accuracy whose losses are convex in every width, and add up."""

    def accuracy(params: Params) -> float:
        losses = [
            depth * 2.0 ** (-rate * params[f"bits.w{i}"])
            for i, (rate, depth) in enumerate(zip(rates, depths, strict=True))
        ]
        return float(1 - sum(losses))

    return accuracy


def test_all_that_are_compared_have_a_title_and_a_line() -> None:
    assert {*CONTESTANTS, *VARIANTS} == TITLES.keys() == _STYLES.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_no_configuration_is_proposed_twice_while_there_are_others(name: str) -> None:
    space, workload = fake_space((2, 4)), FakeWorkload()
    sampler, pruner = make_contestant(name, space, 0)
    assert pruner is None
    trials = list(search(workload, space, sampler, space.cardinality))
    assert len({trial.config for trial in trials}) == space.cardinality


def test_memory_is_that_of_the_space_and_cheap_states_stay_widest() -> None:
    parameters = [
        ParameterSpec("big", Family.WEIGHT, 10_000, 0.0, 1.0),
        ParameterSpec("small", Family.WEIGHT, 10, 0.0, 1.0),
        ParameterSpec("state", Family.MEMBRANE, 100, 0.0, 1.0),
        ParameterSpec("states", Family.MEMBRANE, 1_000, 0.0, 1.0),
        ParameterSpec("constant", Family.SCALE, 7, 0.0, 1.0, fixed_bits=5),
    ]
    choices = Choices(QuantizationSpace(parameters, (1, 8)))
    space = QuantizationSpace(parameters, (1, 8))
    rng = np.random.default_rng(0)
    for _ in range(20):
        params = choices.drawn(rng)
        assert choices.kib(params) == pytest.approx(space.footprint(space.config(params)).kib, rel=1e-12)
    assert choices.costly == ["bits.big", "bits.states", "bits.small"]
    uniform = choices.uniform(3, choices.settings[0])
    assert uniform == {
        **{"scheme": "itq", "rounding": "nearest"},
        **{"bits.big": 3, "bits.small": 3, "bits.state": 8, "bits.states": 3},
    }
    near = list(choices.neighbours(uniform))
    assert len(near) == 5 + 2 * 3 + 1
    assert all(sum(other[name] != uniform[name] for name in uniform) in (1, 2) for other in near)


def test_a_lazy_descent_goes_where_one_goes_that_measures_every_step() -> None:
    # Losses of a bit are noticed everywhere, so that none goes unmeasured.
    rates, depths, counts = (0.5, 0.8, 0.6), (0.45, 0.4, 0.35), (300, 100, 200)
    space, measure = space_of(counts, (1, 4)), exponential(rates, depths)
    notes = notes_of(space)
    ended: list[Params] = []

    def descent() -> Proposals:
        ended.append((yield from descend(notes, notes.choices.uniform(4, notes.choices.settings[0]), -10.0)))

    measured = answered(descent(), measure)
    current = notes.choices.uniform(4, notes.choices.settings[0])
    path = [current]
    while any(current[name] > 1 for name in notes.choices.widths):
        steps = [current | {name: current[name] - 1} for name in notes.choices.widths if current[name] > 1]
        now, kib = measure(current), notes.choices.kib(current)

        def rate(step: Params, now: float = now, kib: float = kib) -> float:
            return (now - measure(step)) / (kib - notes.choices.kib(step))

        current = min(steps, key=rate)
        path.append(current)
    assert ended == [path[-1]]
    assert [params for params in measured if params in path] == path
    everything = sum(len([name for name in notes.choices.widths if params[name] > 1]) for params in path)
    assert len(measured) < everything


def test_a_descent_ends_at_the_floor() -> None:
    notes = notes_of(space_of((300, 100)), floor=0.8)
    measure = exponential((1.0, 1.0), (1.0, 1.0))

    def descent() -> Proposals:
        yield from descend(notes, notes.choices.uniform(8, notes.choices.settings[0]), 0.1)

    measured = answered(descent(), measure)
    feasible = [params for params in measured if measure(params) >= 0.8]
    assert len(measured) - len(feasible) == 2  # one too narrow for each width
    last = min(feasible, key=notes.choices.kib)
    assert all(measure(last | {name: last[name] - 1}) < 0.8 for name in notes.choices.widths)


@pytest.mark.parametrize("rival", [engineer, greedy, significance_first, integer_programme])
def test_a_floor_that_hardly_anything_reaches_ends_no_search(rival: Rival) -> None:
    notes = notes_of(space_of((300, 100), (1, 12)), floor=0.999)
    measured = answered(rival(notes), exponential((1.0, 1.0), (1.0, 1.0)), 60)
    assert len(measured) == 60
    assert max(notes.accuracy) >= 0.999
    nothing = notes_of(space_of((300, 100), (1, 12)), floor=1.0)
    assert len(answered(rival(nothing), exponential((1.0, 1.0), (1.0, 1.0)), 60)) == 60


@pytest.mark.parametrize("sufficient", [1, 3, 4, 7, 16])
def test_the_engineer_finds_the_narrowest_uniform_width(sufficient: int) -> None:
    notes = notes_of(space_of((300, 100), (1, 16)))
    found: list[Params] = []

    def looking() -> Proposals:
        found.append((yield from narrowest_uniform(notes)))

    answered(looking(), lambda params: 0.9 if params["bits.w0"] >= sufficient else 0.3)
    assert {found[0]["bits.w0"], found[0]["bits.w1"]} == {sufficient}


def test_significance_combines_the_narrowest_widths_alone() -> None:
    needed = {"bits.w0": 3, "bits.w1": 6, "bits.w2": 1}
    notes = notes_of(space_of((300, 100, 200)))

    def measure(params: Params) -> float:
        return 0.9 if all(params[name] >= width for name, width in needed.items()) else 0.2

    answered(significance_first(notes), measure, 1 + 3 * 3 + 1)
    assert notes.params[-1].items() >= needed.items()


def test_least_loss_is_that_of_all_choices() -> None:
    rng = np.random.default_rng(0)
    losses = [rng.random(4) for _ in range(4)]
    memory = [rng.random(4) for _ in range(4)]
    for budget in (0.2, 1.0, 1.7, 4.0):
        possible = [
            (sum(losses[i][k] for i, k in enumerate(places)), list(places))
            for places in itertools.product(range(4), repeat=4)
            if sum(memory[i][k] for i, k in enumerate(places)) <= budget
        ]
        found = least_loss(losses, memory, budget)
        assert found == (min(possible)[1] if possible else None)


def test_a_curve_of_losses_goes_through_what_was_measured() -> None:
    curve = loss_curve({2: 0.8, 4: 0.2}, range(1, 7))
    np.testing.assert_allclose(curve, [3.2, 0.8, 0.4, 0.2, 0.05, 0.0125])
    np.testing.assert_array_equal(loss_curve({}, range(1, 4)), 0)


def test_the_integer_programme_finds_the_front_of_a_sum_of_losses() -> None:
    """Where its model holds: noise with a quarter of the power for each bit more."""
    space = space_of((300, 100, 200))
    truth = exponential((2.0, 2.0, 2.0), (0.9, 0.2, 0.05))
    notes = notes_of(space)
    answered(integer_programme(notes), truth, 35)
    measured = [(notes.choices.kib(params), truth(params)) for params in notes.params]
    for widths in itertools.product(range(1, 9), repeat=3):
        params = notes.params[0] | {f"bits.w{i}": width for i, width in enumerate(widths)}
        kib, accuracy = notes.choices.kib(params), truth(params)
        # What nothing within a twentieth of the memory comes near to is missing.
        assert any(other <= 1.25 * kib and found >= accuracy - 0.02 for other, found in measured)


def test_the_gaussian_process_predicts_as_gpytorch_does_and_searches() -> None:
    pytest.importorskip("botorch")
    import torch  # noqa: PLC0415
    from botorch.models import SingleTaskGP  # noqa: PLC0415
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior  # noqa: PLC0415

    from searching.rivals import gaussian_process as rival  # noqa: PLC0415

    rng = np.random.default_rng(0)
    rows, candidates = rng.random((12, 3)), rng.random((5, 3))
    values = np.sin(3 * rows[:, 0]) + rows[:, 1]
    process = rival.Process(lambda points: points)
    process.fit(rows, values, anew=True)
    mean, deviation = process.predict(candidates)
    scaled = torch.as_tensor((values - values.mean()) / values.std())[:, None]
    kernel = get_covar_module_with_dim_scaled_prior(3, use_rbf_kernel=False)
    model = SingleTaskGP(torch.as_tensor(rows), scaled, covar_module=kernel, outcome_transform=None)
    model.load_state_dict(process._hyperparameters)
    model.eval()
    with torch.no_grad():
        expected = model.posterior(torch.as_tensor(candidates))
    np.testing.assert_allclose(mean, values.mean() + values.std() * expected.mean[:, 0].numpy(), rtol=1e-4)
    np.testing.assert_allclose(deviation, values.std() * expected.variance[:, 0].sqrt().numpy(), rtol=1e-2)
    space = fake_space((2, 4))
    trials = list(search(FakeWorkload(), space, make_contestant("gp-known", space, 0)[0], 8, None, 1.0))
    assert len({trial.config for trial in trials}) == 8


def test_accuracy_falls_again_beyond_a_best_width() -> None:
    problem = NotMonotone(0)
    uniform = problem.space.params(problem.space.uniform(8, Scheme.PTQ, Rounding.NEAREST))
    tops = []
    for name in problem.space.widths:
        accuracy = [problem.truth(problem.space.config(uniform | {f"bits.{name}": bits})) for bits in range(1, 17)]
        top = int(np.argmax(accuracy))
        assert np.all(np.diff(accuracy[: top + 1]) > 0)
        assert np.all(np.diff(accuracy[top:]) < 0)
        tops.append(top + 1)
    assert 4 <= min(tops) < max(tops) <= 10


def test_what_is_below_the_floor_counts_for_nothing() -> None:
    problem, plain = make_problem("noise-power-floor", 3), make_problem("noise-power", 3)
    floor = problem.floor
    assert floor == pytest.approx(0.93)
    front = plain.front
    assert floor is not None
    above: NDArray[np.bool_] = front.accuracy > floor
    widths = np.diff(front.memory_kib[above], append=problem.reference_kib)
    area = np.sum(widths * (front.accuracy[above] - floor)) / (problem.reference_kib * (1 - floor))
    assert problem.hypervolume(problem.front) == pytest.approx(area)
    trials = list(
        search(problem.workload, problem.space, make_contestant("engineer", problem.space, 0)[0], 30, None, floor)
    )
    assert sum((trial.accuracy or 0) >= floor for trial in trials) > 10


def test_the_table_names_the_best_rival_of_each_column() -> None:
    def run(sampler: str, regret: Sequence[float]) -> Run:
        trials = len(regret)
        return Run("logistic", sampler, 0, "i", list(regret), [1] * trials, [0.1] * trials, [False] * trials)

    runs = [
        run("memory-aware", [0.2] * 10 + [0.01] * 15),
        run("memory-aware-pruned", [0.0] * 25),
        run("engineer", [0.1] * 10 + [0.05] * 15),
        run("tpe", [0.3] * 10 + [0.04] * 15),
    ]
    lines = rival_lines(summarize(runs))
    assert lines[0].splitlines()[0] == "| problem | regret x 1000 | 10 trials | 15 trials | 25 trials |"
    assert lines[1] == "| logistic | memory-aware | 200 ± 0 | 10 ± 0 | 10 ± 0 |"
    assert lines[2] == (
        "|  | best rival | 100 ± 0 (engineer) | 40 ± 0 (TPE, multivariate) | 40 ± 0 (TPE, multivariate) |"
    )
    assert lines[3] == "|  | share | 2.00 | 0.25 | 0.25 |"
    assert len(lines) == 4
