"""C for the STDP network: rate coding, a layer of neurons of which one spikes at a time, a readout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export import chances
from qspinn_optuna.export.packing import WORD, PackedArray, bits_of, c_integer, c_unsigned, pack, pack_bits
from qspinn_optuna.export.program import Member, Program, Trace
from qspinn_optuna.export.templates import fill, text_of
from qspinn_optuna.fixed_point.draws import INPUT, MEMBRANE, purpose_key
from qspinn_optuna.fixed_point.integer_rounding import DRAW_BITS, NEAREST, STOCHASTIC, CodeRounding
from qspinn_optuna.integer import Codes, IntegerModel, MeanResponse, RateCoding, WeightedResponse, WinnerTakeAll
from qspinn_optuna.integer.winner_take_all_runtime import respond

_SMALL = 2**31
"""Numbers below, and above its negative, are computed with in 32 bits."""

_FEWEST_ROWS = 8
"""Rows whose sums a narrow type must hold if it is to pay off."""


class _Sums(NamedTuple):
    """Sums of weights less their smallest code.

    Args:
        digits: Binary digits of the largest sum.
        reach: What a sum, or the smallest code times the inputs, stays at or below in magnitude.
    """

    digits: int
    reach: int


def program_of(model: IntegerModel) -> Program:
    """The C of an STDP network."""
    layer, coding = _layer(model), _coding(model)
    sums = _sums(layer)
    arrays = _arrays(model)
    return Program(
        summary=(
            f"{coding.pixels} pixels, {coding.inputs} of them inputs; {layer.neurons} neurons of which one spikes at a "
            f"time;\n * {model.classes} classes. Weights {layer.weight.format}, membranes {layer.membrane.format}."
        ),
        inputs=coding.pixels,
        stride=0,
        input_type="uint8_t",
        input_dtype=np.uint8,
        input_range=(0, 255),
        input_bits=0,
        steps=coding.steps,
        classes=model.classes,
        declarations=_declarations(model, sums),
        source=_source(model, sums, arrays),
        arrays=arrays,
        inline_bits=layer.decay.bits,
        members=_members(model),
        values=1 + layer.neurons,
        name_of_value=lambda value: f"the membrane of neuron {value - 1}" if value else "the neuron that spikes",
        traces=lambda samples, first: _traces(model, samples, first),
        unpacks=True,
    )


def _sums(layer: WinnerTakeAll) -> _Sums:
    lowest = layer.weight.format.min_code
    offset = layer.weight.array.astype(np.int64) - lowest
    largest = int(offset.max())
    # snn_add_four writes the digit above that of a weight, whatever the sums.
    digits = max(layer.weight.format.bits + 1, int(offset.sum(axis=0).max()).bit_length())
    return _Sums(digits, layer.inputs * max(largest, -lowest))


def _declarations(model: IntegerModel, sums: _Sums) -> str:
    layer = _layer(model)
    held_bits = layer.refractory_steps * layer.neurons.bit_length()
    held = (
        f"    /* The neuron that spiked in each of the last {layer.refractory_steps} steps, SNN_NEURONS if none. */\n"
        f"    uint32_t held[{_words(held_bits)}];"
    )
    values = {
        "neurons": layer.neurons,
        "blocks": _words(layer.neurons),
        "levels": sums.digits,
        "membrane": layer.membrane.format,
        "membrane_bits": layer.membrane.format.bits,
        "membrane_words": _words(layer.neurons * layer.membrane.format.bits),
        "held": held if held_bits else "    /* No neuron is held after a spike. */",
        "total": "the spikes of a sample" if isinstance(model.readout, MeanResponse) else "the sum of class weights",
        "total_type": _total_type(model),
    }
    return fill("winner_take_all.h", values).rstrip()


def _source(model: IntegerModel, sums: _Sums, arrays: tuple[PackedArray, ...]) -> str:
    parts = {
        "readout": _readout_source(model),
        "packed": text_of("winner_take_all_packed.c").rstrip(),
        "unpacked": fill("winner_take_all_unpacked.c", _unpacked(model)).rstrip(),
    }
    return fill("winner_take_all.c", {**_types(model, sums), **_constants(model, arrays), **parts})


def _unpacked(model: IntegerModel) -> dict[str, str]:
    """Types that hold a weight, and the sum of as many rows of weights as are summed before they become wider."""
    layer = _layer(model)
    width = next(width for width in (8, 16, WORD) if layer.weight.format.bits <= width)
    rows = (2**width - 1) // max(1, int(_offset(layer.weight).max()))
    together = rows >= _FEWEST_ROWS and width < WORD
    return {
        "weight_type": f"uint{width}_t",
        "part_type": f"uint{width}_t" if together else "snn_sum",
        "rows": f"{layer.inputs}u",
        "part": f"{min(rows, layer.inputs) if together else layer.inputs}u",
    }


def _types(model: IntegerModel, sums: _Sums) -> dict[str, str]:
    """Types of 32 bits where they hold all that is computed, else of 64."""
    layer = _layer(model)
    widths = layer.accumulators
    units = _units(layer)
    charging = max(units["DECAY"], units["CURRENT_UNIT"], sums.reach)
    comparing = max(units["MEMBRANE_UNIT"], units["THETA_UNIT"])
    return {
        "sum_type": "uint32_t" if sums.reach < _SMALL else "uint64_t",
        "charged_type": "int32_t" if widths.charged <= WORD and charging < _SMALL else "int64_t",
        "margin_type": "int32_t" if widths.margin <= WORD and comparing < _SMALL else "int64_t",
    }


def _units(layer: WinnerTakeAll) -> dict[str, int]:
    """Factors that align the formats. What is multiplied by 0 alone needs none, however large it would be."""
    constants = layer.constants
    currents = layer.weight.array.any() and layer.scale_codes.array.any()
    return {
        "DECAY": constants.decay << constants.decay_shift if constants.decay else 0,
        "CURRENT_UNIT": 1 << constants.current_shift if currents else 0,
        "MEMBRANE_UNIT": 1 << constants.membrane_shift,
        "THETA_UNIT": 1 << constants.theta_shift if layer.theta.array.any() else 0,
    }


def _constants(model: IntegerModel, arrays: tuple[PackedArray, ...]) -> dict[str, str]:
    """The constants of model.c as C, and its arrays."""
    layer, constants = _layer(model), _layer(model).constants
    to = constants.rounding
    numbers = {
        "WEIGHT_BITS": layer.weight.format.bits,
        "MEMBRANE_BITS": layer.membrane.format.bits,
        "THETA_BITS": layer.theta.format.bits,
        "HELD_BITS": layer.neurons.bit_length(),
        "REFRACTORY_STEPS": layer.refractory_steps,
    }
    if isinstance(model.readout, WeightedResponse):
        numbers["CLASS_WEIGHT_BITS"] = model.readout.weights.format.bits
    else:
        numbers["LABEL_BITS"] = _label_bits(model)
    switches = {
        "DROPS_PIXELS": int(_coding(model).inputs < _coding(model).pixels),
        "SCALES": int(layer.scale is not None),
        "STOCHASTIC": int(_draws(to)),
    }
    codes = {
        "LOWEST_WEIGHT": layer.weight.format.min_code,
        "LOWEST_THETA": layer.theta.format.min_code,
        "SMALLEST_THETA": int(layer.theta.array.min()),
        "LOWEST": to.lowest,
        "HIGHEST": to.highest,
        "THRESHOLD": constants.threshold,
        "RESET": constants.reset,
        "INHIBITION": constants.inhibition,
        **_units(layer),
        "DROP": to.drop,
    }
    if layer.scale is not None:
        numbers["SCALE_BITS"] = layer.scale.format.bits
        codes["LOWEST_SCALE"] = layer.scale.format.min_code
    lines = {
        **{name: f"{value}u" for name, value in numbers.items()},
        **{name: str(value) for name, value in switches.items()},
        **{name: c_integer(value) for name, value in codes.items()},
        "CHANCE(value)": chances.expression(_coding(model).chances),
        "DECAYED(code)": _decayed(layer),
        "INPUT_KEY": c_unsigned(purpose_key(model.seed, INPUT)),
    }
    if _draws(to):
        lines["MEMBRANE_KEY"] = c_unsigned(purpose_key(model.seed, MEMBRANE))
        lines["FRACTION(bits)"] = _fraction(to)
    return {
        "constants": "".join(f"#define SNN_{name} {text}\n" for name, text in lines.items()),
        "arrays": "\n".join(array.definition() for array in arrays),
    }


def _arrays(model: IntegerModel) -> tuple[PackedArray, ...]:
    layer = _layer(model)
    theta = f"Adapted thresholds, {layer.theta.format}."
    arrays = [
        *_weights(layer),
        pack("theta", theta, _offset(layer.theta), layer.theta.format.bits),
        _readout_array(model),
    ]
    if layer.scale is not None:
        comment = f"Factors of the neurons' weights, {layer.scale.format}."
        arrays.append(pack("scale", comment, _offset(layer.scale), layer.scale.format.bits))
    if _coding(model).inputs < _coding(model).pixels:
        kept = np.zeros(_coding(model).pixels, np.bool_)
        kept[_coding(model).kept] = True
        arrays.insert(0, pack_bits("kept", "Whether a pixel is an input.", kept))
    table = chances.table(_coding(model).chances)
    if table is not None:
        arrays.append(table)
    return tuple(arrays)


def _weights(layer: WinnerTakeAll) -> list[PackedArray]:
    """The weights, in the order of input, block of 32 neurons, bit, neuron; those of the last few neurons apart."""
    bits = bits_of(_offset(layer.weight), layer.weight.format.bits).transpose(0, 2, 1)
    whole = layer.neurons // WORD * WORD
    blocks = (
        bits[:, :, :whole].reshape(layer.inputs, layer.weight.format.bits, whole // WORD, WORD).transpose(0, 2, 1, 3)
    )
    comment = f"Weights, {layer.weight.format}, in the order that snn_add_row reads"
    arrays = [
        pack_bits("weights", f"{comment}: neurons from 0.", blocks.ravel()),
        pack_bits("last_weights", f"{comment}: neurons from {whole}.", bits[:, :, whole:].ravel()),
    ]
    return [array for array in arrays if array.bits]


def _offset(codes: Codes) -> NDArray[np.int64]:
    return codes.array.astype(np.int64) - codes.format.min_code


def _members(model: IntegerModel) -> tuple[Member, ...]:
    layer = _layer(model)
    held = layer.refractory_steps * layer.neurons.bit_length()
    return (
        Member("sample", "number of the sample, which keys the draws", 0),
        Member("step", "number of the next step, which keys the draws", 0),
        Member("winner", "the neuron that spiked in the last step", 0),
        Member("membranes", "membranes", layer.neurons * layer.membrane.format.bits),
        *([Member("held", "neurons that spiked in the refractory steps", held)] if held else []),
        Member("sums", "input currents of a step, as binary digits", 0),
        Member("totals", "spikes for each class", 0),
    )


def _traces(model: IntegerModel, samples: NDArray[np.integer], first: int) -> Iterator[Trace]:
    responses = respond(model, samples.astype(np.uint8), first, membranes=True)
    assert responses.membranes is not None
    answers = _readout(model).classify(responses.counts)
    for winners, membranes, answer in zip(responses.winners, responses.membranes, answers, strict=True):
        yield Trace(np.concatenate([winners[:, None], membranes], axis=1), int(answer))


def _decayed(layer: WinnerTakeAll) -> str:
    """A decayed membrane of its stored code, which is less the lowest, and what rounds to nearest."""
    decay, to = _units(layer)["DECAY"], layer.constants.rounding
    half = (1 << to.drop) >> 1 if to.rounding == NEAREST else 0
    bias = to.lowest * decay + half
    if max((to.highest - to.lowest) * decay, abs(bias)) < _SMALL:
        return f"((snn_charged)(code) * SNN_DECAY + {c_integer(bias)})"
    return f"(((snn_charged)(code) + SNN_LOWEST) * SNN_DECAY + {c_integer(half)})"


def _layer(model: IntegerModel) -> WinnerTakeAll:
    return cast(WinnerTakeAll, model.network)


def _coding(model: IntegerModel) -> RateCoding:
    return cast(RateCoding, model.coding)


def _readout(model: IntegerModel) -> MeanResponse | WeightedResponse:
    return cast(MeanResponse | WeightedResponse, model.readout)


def _readout_source(model: IntegerModel) -> str:
    if isinstance(model.readout, WeightedResponse):
        return text_of("weighted_response.c")
    products = _coding(model).steps * _layer(model).neurons
    return fill("mean_response.c", {"product_type": "uint32_t" if products < 2**32 else "uint64_t"})


def _readout_array(model: IntegerModel) -> PackedArray:
    readout = _readout(model)
    if isinstance(readout, MeanResponse):
        return pack("labels", "Class of each neuron.", readout.labels, _label_bits(model))
    fmt = readout.weights.format
    return pack("class_weights", f"What a neuron says for each class, {fmt}.", _offset(readout.weights), fmt.bits)


def _total_type(model: IntegerModel) -> str:
    """A type that holds what a class can get: at most one spike a step."""
    readout = _readout(model)
    most = 1 if isinstance(readout, MeanResponse) else int(_offset(readout.weights).max())
    total = most * _coding(model).steps
    return next(f"uint{width}_t" for width in (16, 32, 64) if total < 2**width)


def _draws(to: CodeRounding) -> bool:
    """Whether rounding draws: without dropped bits it has nothing to decide."""
    return to.rounding == STOCHASTIC and to.drop > 0


def _fraction(to: CodeRounding) -> str:
    """A draw as a fraction of the step of a membrane, in bits that are dropped."""
    if to.drop <= DRAW_BITS:
        return f"(snn_charged)((bits) >> {DRAW_BITS - to.drop})"
    return f"((snn_charged)(bits) * {c_integer(1 << to.drop - DRAW_BITS)})"


def _label_bits(model: IntegerModel) -> int:
    return max(1, (model.classes - 1).bit_length())


def _words(bits: int) -> int:
    return -(-bits // WORD)
