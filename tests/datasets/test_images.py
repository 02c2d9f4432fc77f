"""Labeled images and their splits."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from qspinn_optuna.datasets import ImageSplits, LabeledImages


def labeled(count: int = 4, pixels: int = 6, first: int = 1) -> LabeledImages:
    """Images whose pixels are counted from ``first``, labeled 0, 1, 2, ..."""
    images = np.arange(first, first + count * pixels).astype(np.uint8).reshape(count, pixels)
    return LabeledImages(images, np.arange(count, dtype=np.uint8))


def bytes_of(*values: int) -> NDArray[np.uint8]:
    return np.array(values, dtype=np.uint8)


# LabeledImages ------------------------------------------------------------------------------------------------------


def test_the_length_is_the_number_of_images() -> None:
    assert len(labeled(count=4, pixels=6)) == 4


@pytest.mark.parametrize("part", [slice(1, 3), np.array([3, 0, 0])])
def test_a_part_keeps_images_with_their_labels(part: Any) -> None:
    whole = labeled()
    np.testing.assert_array_equal(whole[part].images, whole.images[part])
    np.testing.assert_array_equal(whole[part].labels, whole.labels[part])


@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))), st.data())
@settings(deadline=None)
def test_whole_numbers_of_any_type_are_converted(images: NDArray[np.uint8], data: st.DataObject) -> None:
    images[0, 0, 0] = 255
    labels = data.draw(npst.arrays(np.uint8, len(images)))
    kind = data.draw(st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64]))
    found = LabeledImages.from_arrays(images.astype(kind), labels.astype(kind))
    assert found.images.dtype == found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.images, images.reshape(len(images), -1))
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.bool_, np.int8])
@pytest.mark.parametrize("argument", ["images", "labels"])
def test_other_arrays_than_bytes_are_refused_by_name(argument: str, kind: type[np.generic]) -> None:
    arrays: dict[str, Any] = {"images": np.ones((2, 3), np.uint8), "labels": np.zeros(2, np.uint8)}
    arrays[argument] = arrays[argument].astype(kind)
    with pytest.raises(TypeError, match=rf"^{argument}\b.*got {np.dtype(kind)}\..*from_arrays"):
        LabeledImages(**arrays)


def test_a_list_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^images\b.*got list"):
        LabeledImages([[1, 2]], bytes_of(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "labels"),
    [((2, 3), (3,)), ((2, 3), (1,)), ((2, 3, 4), (2,)), ((6,), (6,)), ((2, 3), (2, 1)), ((2, 3), ())],
)
def test_shapes_that_do_not_fit_are_named(images: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^images\b") as error:
        LabeledImages(np.ones(images, np.uint8), np.zeros(labels, np.uint8))
    assert f"got {list(images)} and {list(labels)}" in str(error.value)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0), (2, 3)])
def test_no_images_and_black_images_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^images\b.*black"):
        LabeledImages(np.zeros(shape, np.uint8), np.zeros(shape[0], np.uint8))


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^images\b.*got \[0, "):
        labeled()[4:]


@pytest.mark.parametrize("argument", ["images", "labels"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_are_refused_by_name(argument: str, value: float) -> None:
    arrays = {"images": np.ones((2, 3)), "labels": np.zeros(2)}
    arrays[argument][0] = value
    with pytest.raises(ValueError, match=rf"^{argument}\b.*finite"):
        LabeledImages.from_arrays(**arrays)


@pytest.mark.parametrize("argument", ["images", "labels"])
@pytest.mark.parametrize("value", [-1.0, 256.0, 0.5, 254.999, 1e300])
def test_numbers_that_are_not_bytes_are_refused_by_name(argument: str, value: float) -> None:
    arrays = {"images": np.ones((2, 3)), "labels": np.zeros(2)}
    arrays[argument][0] = value
    with pytest.raises(ValueError, match=rf"^{argument}\b.*whole"):
        LabeledImages.from_arrays(**arrays)


def test_images_in_the_unit_interval_are_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match=r"^images\b.*whole"):
        LabeledImages.from_arrays(np.linspace(0, 1, 12).reshape(2, 6), np.zeros(2))


@pytest.mark.parametrize("shape", [(0, 2, 2), (0, 4), (0,)])
def test_arrays_without_images_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\bimages\b"):
        LabeledImages.from_arrays(np.zeros(shape), np.zeros(0))


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \[2, 9\] and \[3\]"):
        LabeledImages.from_arrays(np.ones((2, 3, 3)), np.zeros(3))


def test_images_can_be_compared() -> None:
    assert isinstance(labeled() == labeled(), bool)


# ImageSplits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(6, 6, 5), (6, 5, 6), (5, 6, 6), (4, 5, 6)])
def test_splits_of_different_sizes_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="number of pixels") as error:
        ImageSplits(*(labeled(pixels=pixels) for pixels in sizes))
    assert str(list(sizes)) in str(error.value)


@pytest.mark.parametrize("order", list(itertools.permutations((2, 4, 7))))
def test_classes_are_counted_over_all_splits(order: tuple[int, int, int]) -> None:
    assert ImageSplits(*(labeled(count=count) for count in order)).classes == 7


@pytest.mark.parametrize("size", [1, 3, 4])
def test_a_smaller_train_split_is_the_first_images(size: int) -> None:
    whole = ImageSplits(labeled(), labeled(2), labeled(3))
    part = whole.with_train_size(size)
    np.testing.assert_array_equal(part.train.images, whole.train.images[:size])
    np.testing.assert_array_equal(part.train.labels, whole.train.labels[:size])
    assert part.validation is whole.validation
    assert part.test is whole.test
    assert len(whole.train) == 4


@pytest.mark.parametrize("size", [0, -1, 5])
def test_a_train_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"train size\b.*got {size}"):
        ImageSplits(labeled(), labeled(2), labeled(3)).with_train_size(size)


def test_equal_splits_have_equal_fingerprints() -> None:
    first, second = (ImageSplits(labeled(), labeled(2), labeled(3)) for _ in range(2))
    assert first.fingerprint == second.fingerprint


def test_the_fingerprint_leaves_the_test_images_alone() -> None:
    splits = (ImageSplits(labeled(), labeled(2), test) for test in (labeled(3), labeled(5, first=9)))
    assert len({split.fingerprint for split in splits}) == 1


def test_images_have_a_fingerprint_of_their_own() -> None:
    first, again, other_images, other_label = (labeled(3), labeled(3), labeled(3), labeled(3))
    other_images.images[2, 1] ^= 1
    other_label.labels[0] ^= 1
    assert first.fingerprint == again.fingerprint
    assert len({part.fingerprint for part in (first, other_images, other_label, labeled(2))}) == 4


def test_the_fingerprint_tells_training_and_validation_images_and_labels() -> None:
    base, other_images = labeled(), labeled(first=2)
    other_labels = LabeledImages(base.images, base.labels[::-1].copy())
    splits = [
        ImageSplits(train, validation, base)
        for train in (base, other_images, other_labels, base[:3])
        for validation in (base, other_images, other_labels, base[:3])
    ]
    assert len({split.fingerprint for split in splits}) == 16


def test_the_fingerprint_tells_where_a_split_ends() -> None:
    test = LabeledImages(bytes_of(1).reshape(1, 1), bytes_of(0))
    one_and_two = ImageSplits(
        LabeledImages(bytes_of(1).reshape(1, 1), bytes_of(2)),
        LabeledImages(bytes_of(3, 4).reshape(2, 1), bytes_of(5, 6)),
        test,
    )
    two_and_one = ImageSplits(
        LabeledImages(bytes_of(1, 2).reshape(2, 1), bytes_of(3, 4)),
        LabeledImages(bytes_of(5).reshape(1, 1), bytes_of(6)),
        test,
    )
    assert one_and_two.fingerprint != two_and_one.fingerprint
