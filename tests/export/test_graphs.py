"""The C of graphs against the interpreter; mistakes in it are found."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporting.event_graph import event_frames, event_graph
from exporting.graph_mutants import GRAPH_MUTANTS
from exporting.random_graphs import random_graph, random_values
from qspinn_optuna.export import Core, DifferenceError, Export, ToolError, export_c, tools
from qspinn_optuna.export.export import sources_of
from qspinn_optuna.export.folder import write_export
from qspinn_optuna.export.graph.buffers import Lifetime, share
from qspinn_optuna.export.graph.indices import flat_index
from qspinn_optuna.export.kinds import program_of
from qspinn_optuna.export.vectors import check_samples
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    Reduction,
    ValueCoding,
    graph_runtime,
)
from qspinn_optuna.integer.operations import (
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Operation,
    Reshape,
    Scale,
    Sum,
)
from tests.export.test_c99 import SANITIZED, STRICT, skip_without
from tests.integer.graphs import SLOW, example_graph_model, graph_models, random_inputs
from tests.integer.models import random_codes

SPIKES = QFormat(1, 0, signed=False)
ARM = "arm-none-eabi-"

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, tools.HOST_COMPILERS)), reason="no C compiler: cc, gcc or clang is needed"
)
needs_arm = pytest.mark.skipif(shutil.which(f"{ARM}gcc") is None, reason="arm-none-eabi-gcc is not installed")
needs_qemu = pytest.mark.skipif(
    not all(map(shutil.which, (f"{ARM}gcc", "qemu-system-arm", "make"))),
    reason="arm-none-eabi-gcc, qemu-system-arm and make are needed",
)


def write(model: IntegerModel, folder: Path, samples: NDArray[np.integer]) -> Export:
    """An export without its report, which takes longer than the rest."""
    program = program_of(model)
    write_export(folder, model, sources_of(program, model, "snn", check_samples(program, samples)))
    return Export(folder, model, "snn")


def one_step(
    operations: tuple[Operation, ...],
    constants: dict[str, Codes],
    *,
    shape: tuple[int, ...],
    fmt: QFormat = SPIKES,
    steps: int = 3,
    reduction: Reduction = Reduction.SUM,
    source: str = "out",
) -> IntegerModel:
    coding = ValueCoding(shape, ParameterQuantization(fmt, Rounding.NEAREST), steps, False, False, 0)
    graph = Graph(shape, fmt, tuple(Constant(*item) for item in constants.items()), operations)
    return IntegerModel(coding, graph, LargestScore(source, reduction), 0, 0)


def codes(values: object, fmt: QFormat) -> Codes:
    return Codes(np.array(values), fmt)


# ---------------------------------------------------------------------------------------------------------------------
# Against the interpreter
# ---------------------------------------------------------------------------------------------------------------------


@needs_compiler
def test_every_spike_and_membrane_is_that_of_the_interpreter(tmp_path: Path) -> None:
    fired = 0
    for seed in range(25):
        model = random_graph(seed)
        samples = random_values(model, 8, seed)
        done = write(model, tmp_path, samples[:1]).verify(samples, flags=STRICT)
        assert done.samples == len(samples)
        spikes = graph_runtime.respond(model, samples, membranes=True).spikes.values()
        fired += any(0 < record.mean() < 1 for record in spikes)
    assert fired >= 15


@needs_compiler
def test_it_is_that_of_any_operations_too(tmp_path: Path) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(graph_models())
    def compare(model: IntegerModel) -> None:
        samples = random_inputs(model, 1, 5)
        write(model, tmp_path, samples[:1]).verify(samples, first_sample=7, flags=STRICT)

    compare()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_warn_of_nothing_and_sanitizers_find_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, compiler: str
) -> None:
    skip_without(compiler, tmp_path_factory.mktemp("sanitizers"))
    for seed in range(30, 36):
        model = random_graph(seed)
        samples = random_values(model, 4, seed)
        write(model, tmp_path, samples[:1]).verify(samples, compiler=compiler, flags=SANITIZED)


@needs_compiler
@pytest.mark.parametrize(
    ("width", "lanes"), [(3, 4), (6, 2), (20, 1)], ids=["four sums in a word", "two sums in a word", "a sum in a word"]
)
@pytest.mark.parametrize("fmt", [SPIKES, QFormat(3, 0)], ids=["spikes", "values"])
def test_filters_side_by_side_do_not_touch_each_other(tmp_path: Path, width: int, lanes: int, fmt: QFormat) -> None:
    """Weights at the ends of their range, so that the sums reach theirs."""
    generator = np.random.default_rng(0)
    weights = QFormat(width - 1 - (fmt != SPIKES), 0)
    ends = generator.choice([weights.min_code, weights.max_code], (8, 2, 2, 2))
    operations = (
        Convolution("conv", ("input",), "w", None, (1, 1), (1, 1), (1, 1), 1),
        IntegrateAndFire(
            "lif",
            ("conv",),
            ParameterQuantization(QFormat(23, 0), Rounding.NEAREST),
            "threshold",
            None,
            False,
            None,
            0,
            0,
            "lif.v",
        ),
        Reshape("flat", ("lif.v",), (8 * 6 * 8,)),
        Linear("out", ("flat",), "last", None),
    )
    constants = {
        "w": Codes(ends, weights),
        "threshold": codes([7], QFormat(4, 0)),
        "last": random_codes(generator, QFormat(1, 0), (2, 8 * 6 * 8)),
    }
    model = one_step(operations, constants, shape=(2, 5, 7), fmt=fmt)
    assert f"{lanes} at a time" in program_of(model).source
    samples = random_values(model, 10)
    samples[:3] = fmt.max_code
    samples[3:5] = fmt.min_code
    write(model, tmp_path, samples[:1]).verify(samples, flags=SANITIZED)


@needs_compiler
def test_arrays_that_are_kept_take_each_other(tmp_path: Path) -> None:
    """A chain of delays, one that takes itself, and two that take each other: those are 0 for ever."""
    operations = (
        Delay("one", ("input",), (5,), SPIKES),
        Delay("two", ("one",), (5,), SPIKES),
        Delay("three", ("two",), (5,), SPIKES),
        Delay("self", ("self",), (5,), SPIKES),
        Delay("left", ("right",), (5,), SPIKES),
        Delay("right", ("left",), (5,), SPIKES),
        Sum("out", ("input", "two", "three", "self", "left"), (1, 1, 1, 1, 1)),
    )
    model = one_step(operations, {}, shape=(5,), steps=6)
    samples = random_values(model, 20)
    write(model, tmp_path, samples[:1]).verify(samples, flags=SANITIZED)


@needs_compiler
def test_names_that_c_does_not_take_get_others(tmp_path: Path) -> None:
    operations = (
        Scale("int", ("input",), "0.weight"),
        Scale("a-b", ("int",), "0/weight"),
        Scale("a_b", ("a-b",), "codes_snn_step"),
        Scale("SNN_STEPS", ("a_b",), "*/ int x; /*"),
        Scale("step", ("SNN_STEPS",), "é"),
    )
    names = ("0.weight", "0/weight", "codes_snn_step", "*/ int x; /*", "é")
    constants = {name: codes([1, 2, 1], QFormat(3, 0)) for name in names}
    model = one_step(operations, constants, shape=(3,), source="step")
    samples = random_values(model, 5)
    write(model, tmp_path, samples[:1]).verify(samples, flags=STRICT)


@needs_compiler
def test_codes_of_the_input_come_in_their_own_type(tmp_path: Path) -> None:
    for fmt, expected in (
        (SPIKES, "uint8_t"),
        (QFormat(3, 4), "int8_t"),
        (QFormat(0, 9), "int16_t"),
        (QFormat(0, 16, signed=False), "uint16_t"),
        (QFormat(4, 16), "int32_t"),
    ):
        constants = {"w": random_codes(np.random.default_rng(0), QFormat(2, 0), (4, 6))}
        model = one_step((Linear("out", ("input",), "w", None),), constants, shape=(6,), fmt=fmt)
        samples = random_values(model, 5)
        export = write(model, tmp_path, samples[:1])
        assert f"typedef {expected} snn_input;" in (tmp_path / "model.h").read_text()
        export.verify(samples, flags=STRICT)
        # What encoding gives.
        export.verify(samples.astype(np.int64), flags=STRICT)
        for wrong in (fmt.min_code - 1, fmt.max_code + 1):
            with pytest.raises(ValueError, match=f"samples must be {fmt.min_code} to {fmt.max_code}"):
                export.verify(np.full(samples.shape, wrong, np.int64))


def test_too_many_classes_are_refused() -> None:
    constants = {"w": codes(np.ones((257, 2)).astype(int), QFormat(2, 0))}
    model = one_step((Linear("out", ("input",), "w", None),), constants, shape=(2,))
    with pytest.raises(ValueError, match="at most 256 classes, got 257"):
        program_of(model)


def test_what_nobody_reads_is_not_computed() -> None:
    operations = (
        Scale("unread", ("input",), "idle"),
        Scale("out", ("input",), "factor"),
    )
    constants = {"idle": codes([1, 2], QFormat(3, 0)), "factor": codes([2, 3], QFormat(3, 0))}
    program = program_of(one_step(operations, constants, shape=(2,)))
    assert "unread" not in program.source
    assert [array.name for array in program.arrays] == ["codes_factor"]


@needs_compiler
@pytest.mark.parametrize(
    "name",
    [
        "fires above the threshold, not at it",
        "ties go down",
        "saturation one code early above",
        "spikes of the filter before are lost",
        "sums that share words lose their sign",
        "rows instead of columns",
        "pools of spikes are not cleared",
        "a reset forgets arrays of the step before",
    ],
)
def test_a_mistake_is_found(tmp_path: Path, name: str) -> None:
    (mutant,) = (mutant for mutant in GRAPH_MUTANTS if mutant.name == name)
    for seed in range(20):
        model = random_graph(seed)
        samples = random_values(model, 20, seed)
        export = write(model, tmp_path, samples[:1])
        source = export.folder / "model.c"
        wrong = mutant.apply(source.read_text())
        if wrong is None:
            continue
        source.write_text(wrong)
        try:
            export.verify(samples, flags=("-std=c99", "-O0"))
        except DifferenceError:
            return
    pytest.fail("no model shows the mistake")


@needs_compiler
def test_the_first_difference_is_named(tmp_path: Path) -> None:
    model = example_graph_model()
    samples = random_inputs(model, 3, 3)
    export = write(model, tmp_path, samples[:1])
    source = tmp_path / "model.c"
    wrong, count = re.subn(r"(snn_fill\(state->lif2_v, 3u, 8u, )128u", r"\g<1>129u", source.read_text())
    assert count == 1
    source.write_text(wrong)
    with pytest.raises(
        DifferenceError, match=r"sample 10, step 0: (membrane|the spike) \d of 'lif2(.v)?' is -?\d+ in C"
    ):
        export.verify(samples)


# ---------------------------------------------------------------------------------------------------------------------
# Parts
# ---------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_an_index_is_that_of_a_broadcast(shape: list[int], data: st.DataObject) -> None:
    kept = [data.draw(st.booleans()) for _ in shape]
    own = [size if keep else 1 for size, keep in zip(shape, kept, strict=True)]
    expected = np.broadcast_to(np.arange(prod(own)).reshape(own), shape).ravel()
    text = re.sub(r"(\d)u", r"\1", flat_index(own, tuple(shape))).replace("/", "//")
    assert [eval(text, {"i": i}) for i in range(prod(shape))] == expected.tolist()


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 4)), max_size=12))
def test_arrays_that_live_together_share_no_memory(drawn: list[tuple[int, int, int]]) -> None:
    arrays = [
        Lifetime(f"a{k}", "int8_t", size, size, born, born + length) for k, (size, born, length) in enumerate(drawn)
    ]
    buffers = share(arrays)
    assert sorted(array for buffer in buffers for array in buffer.arrays) == sorted(arrays)
    for buffer in buffers:
        for t in range(14):
            assert sum(array.born <= t <= array.dies for array in buffer.arrays) <= 1


# ---------------------------------------------------------------------------------------------------------------------
# On a device
# ---------------------------------------------------------------------------------------------------------------------


@needs_arm
def test_constants_and_state_are_hardly_more_than_the_footprint(tmp_path: Path) -> None:
    model = event_graph(steps=2)
    export = write(model, tmp_path, event_frames(1, 2))
    sizes = export.sizes()
    assert sizes.constants <= 1.002 * model.constant_bits / 8
    counted = sum(sizes.members[member.name] for member in export.program.members if member.bits)
    assert counted <= 1.01 * model.state_bits / 8
    assert sum(member.bits for member in export.program.members) == model.state_bits
    assert sizes.code <= 2048
    assert sizes.variables == 0


@needs_arm
@pytest.mark.parametrize("cpu", ["m0", "m3"])
def test_nothing_but_integers_is_linked(tmp_path: Path, cpu: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for seed in (0, 3, 4):
        model = random_graph(seed)
        export = write(model, tmp_path, random_values(model, 1))
        command = ["make", "-s", "-B", "cortex-m", f"CORE={cpu}", "EXTRA=-Werror"]
        subprocess.run(command, cwd=export.folder, check=True)
        linked = export.folder / "build" / f"cortex-{cpu}" / "test.elf"
        said = subprocess.run([f"{ARM}nm", linked], capture_output=True, text=True, check=True).stdout
        names = {row.split()[-1] for row in said.splitlines()}
        assert "snn_step" in names
        assert not {
            name for name in names if re.match(r"__aeabi_[fd]|_?_?(add|mul|div|sub)[sd]f3|malloc|free|printf", name)
        }


@needs_qemu
def test_a_cortex_m3_computes_the_same(tmp_path: Path) -> None:
    model = replace(example_graph_model(), first_sample=10)
    export = export_c(model, tmp_path, samples=random_inputs(model, 5, 3))
    emulation = export.emulate(Core.M3)
    assert len(emulation.instructions) == 3
    report = (tmp_path / "REPORT.md").read_text()
    assert f"{emulation.mean:,.0f} a sample" in report
    assert "| `lif1_v` | membranes" in report
    assert "where the caller has it" in report
    source = export.folder / "model.c"
    source.write_text(source.read_text().replace("u = spike != 0 ? INT32_C(0) : u;", ""))
    with pytest.raises(ToolError, match="FAIL"):
        export.emulate()
