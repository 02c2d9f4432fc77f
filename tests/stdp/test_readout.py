"""The readout against plain loops over exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import Codes, MeanResponse, WeightedResponse
from qspinn_optuna.workloads.stdp.class_responses import ClassResponses, FloatClassWeights

Counts = NDArray[np.int32]
Labels = NDArray[np.uint8]


def assign_labels(counts: Counts, labels: Labels, classes: int) -> NDArray[np.uint8]:
    return ClassResponses.of(counts, labels, classes).labels()


def first_largest(values: list[Fraction]) -> int:
    return values.index(max(values))


def plain_labels(counts: Counts, labels: Labels, classes: int) -> list[int]:
    """The class with the largest mean response of each neuron; a class without images has a response of 0."""
    result = []
    for j in range(counts.shape[1]):
        means = []
        for label in range(classes):
            responses = [int(counts[k, j]) for k in range(len(counts)) if labels[k] == label]
            means.append(Fraction(sum(responses), max(len(responses), 1)))
        result.append(first_largest(means))
    return result


def plain_votes(counts: Counts, neuron_labels: Labels, classes: int) -> list[int]:
    """The class with the largest mean response of its neurons to each image; a class without neurons has 0."""
    result = []
    for row in counts:
        means = []
        for label in range(classes):
            responses = [int(row[j]) for j in range(len(row)) if neuron_labels[j] == label]
            means.append(Fraction(sum(responses), max(len(responses), 1)))
        result.append(first_largest(means))
    return result


def plain_class_weights(counts: Counts, labels: Labels, classes: int) -> list[list[float]]:
    """(log(q + .01) - log(.01)) / (log(1.01) - log(.01)), q the share of a class in the neuron's mean responses."""
    result = []
    for j in range(counts.shape[1]):
        means = []
        for label in range(classes):
            responses = [int(counts[k, j]) for k in range(len(counts)) if labels[k] == label]
            means.append(Fraction(sum(responses), max(len(responses), 1)))
        shares = [float(mean / sum(means)) if sum(means) else 0.0 for mean in means]
        span = math.log(1.01) - math.log(0.01)
        result.append([(math.log(share + 0.01) - math.log(0.01)) / span for share in shares])
    return result


@st.composite
def responses(draw: st.DrawFn) -> tuple[Counts, Labels, Labels, int]:
    """Counts, labels of images and of neurons; small numbers, so that ties and empty classes are frequent."""
    classes, images, neurons = draw(st.integers(1, 5)), draw(st.integers(1, 8)), draw(st.integers(1, 8))
    numbers = st.integers(0, 3)
    counts = draw(st.lists(st.lists(numbers, min_size=neurons, max_size=neurons), min_size=images, max_size=images))
    names = st.integers(0, classes - 1)
    labels = draw(st.lists(names, min_size=images, max_size=images))
    neuron_labels = draw(st.lists(names, min_size=neurons, max_size=neurons))
    return np.array(counts, np.int32), np.array(labels, np.uint8), np.array(neuron_labels, np.uint8), classes


@settings(max_examples=300, deadline=None, derandomize=True)
@given(responses())
def test_readout_equals_plain_loops(case: tuple[Counts, Labels, Labels, int]) -> None:
    counts, labels, neuron_labels, classes = case
    assert assign_labels(counts, labels, classes).tolist() == plain_labels(counts, labels, classes)
    assert MeanResponse(neuron_labels, classes).classify(counts).tolist() == plain_votes(counts, neuron_labels, classes)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(responses())
def test_class_weights_equal_plain_loops(case: tuple[Counts, Labels, Labels, int]) -> None:
    counts, labels, _, classes = case
    weights = ClassResponses.of(counts, labels, classes).class_weights()
    np.testing.assert_allclose(weights, plain_class_weights(counts, labels, classes), rtol=0, atol=1e-12)
    assert weights.min() >= 0
    assert weights.max() <= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(responses(), st.integers(0, 2**32 - 1), st.booleans())
def test_the_largest_sum_of_class_weights_is_the_answer(
    case: tuple[Counts, Labels, Labels, int], seed: int, signed: bool
) -> None:
    counts, _, _, classes = case
    fmt = QFormat(1, 2, signed)
    codes = np.random.default_rng(seed).integers(fmt.min_code, fmt.max_code + 1, (counts.shape[1], classes))
    answers = []
    for row in counts.tolist():
        scores = [sum(n * int(codes[j, c]) for j, n in enumerate(row)) for c in range(classes)]
        answers.append(scores.index(max(scores)))
    assert WeightedResponse(Codes(codes, fmt)).classify(counts).tolist() == answers
    assert FloatClassWeights((codes * fmt.resolution).astype(np.float64)).classify(counts).tolist() == answers


def test_responses_to_parts_of_the_images_add_up() -> None:
    generator = np.random.default_rng(3)
    counts, labels = generator.integers(0, 9, (20, 4)).astype(np.int32), generator.integers(0, 3, 20).astype(np.uint8)
    whole = ClassResponses.of(counts, labels, 3)
    parts = ClassResponses.of(counts[:7], labels[:7], 3) + ClassResponses.of(counts[7:], labels[7:], 3)
    np.testing.assert_array_equal(parts.totals, whole.totals)
    np.testing.assert_array_equal(parts.images, whole.images)


def test_means_count_and_not_sums() -> None:
    labels = np.array([0, 0, 0, 1], np.uint8)
    counts = np.array([[2], [2], [2], [5]], np.int32)
    assert assign_labels(counts, labels, 2).tolist() == [1]
    neuron_labels = np.array([0, 0, 0, 1], np.uint8)
    assert MeanResponse(neuron_labels, 2).classify(np.array([[2, 2, 2, 5]], np.int32)).tolist() == [1]


def test_the_first_of_equals_is_taken() -> None:
    labels = np.array([2, 1, 0], np.uint8)
    counts = np.array([[3, 0], [3, 0], [1, 0]], np.int32)
    assert assign_labels(counts, labels, 3).tolist() == [1, 0]
    neuron_labels = np.array([2, 1, 0], np.uint8)
    assert MeanResponse(neuron_labels, 3).classify(np.array([[4, 4, 1], [0, 0, 0]], np.int32)).tolist() == [1, 0]


def test_equal_means_of_different_sizes_tie() -> None:
    """1/3 of one class's spikes and 2/6 of another's are the same number."""
    neuron_labels = np.array([1] * 3 + [0] * 6, np.uint8)
    counts = np.array([[1, 0, 0, 1, 1, 0, 0, 0, 0]], np.int32)
    assert MeanResponse(neuron_labels, 2).classify(counts).tolist() == [0]


def test_classes_without_neurons_or_images_are_not_answered() -> None:
    neuron_labels = np.array([1, 3], np.uint8)
    counts = np.array([[1, 0], [0, 1], [2, 1]], np.int32)
    assert MeanResponse(neuron_labels, 6).classify(counts).tolist() == [1, 3, 1]
    labels = np.array([4, 1, 4], np.uint8)
    assert assign_labels(np.array([[1, 0], [0, 1], [1, 0]], np.int32), labels, 6).tolist() == [4, 1]


def test_labels_are_bytes_one_for_each() -> None:
    counts = np.ones((5, 3), np.int32)
    neuron_labels = assign_labels(counts, np.zeros(5, np.uint8), 2)
    assert neuron_labels.dtype == np.uint8
    assert neuron_labels.shape == (3,)
    answers = MeanResponse(neuron_labels, 2).classify(counts)
    assert answers.dtype == np.uint8
    assert answers.shape == (5,)
