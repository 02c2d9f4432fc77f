"""The deployable network as a value: everything that a device needs, as integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.integer import files
from qspinn_optuna.integer.accumulators import Accumulators
from qspinn_optuna.integer.arrays import Accumulator, Array
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.coding import RateCoding, ValueCoding
from qspinn_optuna.integer.graph import Constant, Graph
from qspinn_optuna.integer.node import Node, check_type, check_whole
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Offset,
    Permutation,
    Pool,
    PowerOfTwo,
    Requantization,
    Reshape,
    Scale,
    Sum,
)
from qspinn_optuna.integer.readout import LargestScore, MeanResponse, WeightedResponse
from qspinn_optuna.integer.winner_take_all import WinnerTakeAll


@dataclass(frozen=True, eq=False)
class IntegerModel(Node):
    """A network that classifies samples, whole: from pixels, or values, to classes.

    Draws of a sample are keyed by its number. With the numbers from ``first_sample``, the test set is classified as it
    was when the network was measured.

    Example:
        >>> model.constant_bits, model.state_bits, model.classes
        (648, 32, 4)
        >>> model.save(folder / "model")
        >>> IntegerModel.load(folder / "model").constant_bits
        648

    Args:
        coding: From a sample to the input of the network: a :class:`~.coding.RateCoding` of a layer of neurons that
            compete, a :class:`~.coding.ValueCoding` of a graph.
        network: The layers.
        readout: From the network's results to classes: a :class:`~.readout.MeanResponse` or a
            :class:`~.readout.WeightedResponse` of a layer of neurons that compete, a :class:`~.readout.LargestScore`
            of a graph.
        seed: Of all draws; those of graphs have keys of their own, which were made from it.
        first_sample: Number of the first sample of the test set.

    Raises:
        TypeError: If an argument is of another type, or of one that does not go with the network.
        ValueError: If sizes of neighbours differ, or a number is negative.
    """

    coding: RateCoding | ValueCoding
    network: WinnerTakeAll | Graph
    readout: MeanResponse | WeightedResponse | LargestScore
    seed: int
    first_sample: int

    def __post_init__(self) -> None:
        match self.coding, self.network, self.readout:
            case RateCoding(), WinnerTakeAll(), MeanResponse() | WeightedResponse():
                _check_layer(self.coding, self.network, self.readout)
            case ValueCoding(), Graph(), LargestScore():
                _check_graph(self.coding, self.network, self.readout)
            case _:
                self._check_kinds()
        check_whole("seed", self.seed, 0)
        check_whole("first_sample", self.first_sample, 0)

    @property
    def classes(self) -> int:
        """Number of classes."""
        if isinstance(self.network, Graph) and isinstance(self.readout, LargestScore):
            return self.network.array(self.readout.source).elements
        return cast(MeanResponse | WeightedResponse, self.readout).classes

    @property
    def constant_bits(self) -> int:
        """Memory of what does not change (flash), in bits."""
        return self.coding.constant_bits + self.network.constant_bits + self.readout.constant_bits

    @property
    def state_bits(self) -> int:
        """Memory of what changes (RAM), in bits, without accumulators and buffers."""
        return self.coding.state_bits + self.network.state_bits

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model as a folder of files with checksums, whole or not at all.

        Args:
            folder: The folder, new or empty.
            overwrite: Whether to replace a folder that holds a model, and nothing else.

        Raises:
            ValueError: If ``folder`` exists and is not to be replaced, or holds anything else, or has no parent.
        """
        files.write(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> IntegerModel:
        """The model that :meth:`save` wrote.

        Raises:
            ValueError: If ``folder`` holds no model or one of a newer version, or a file is missing, cut or changed.
        """
        model = files.read(folder, NODES)
        if not isinstance(model, IntegerModel):
            raise ValueError(f"{folder} must hold an IntegerModel, got a {type(model).__name__}.")
        return model

    def _check_kinds(self) -> None:
        """Say which part does not go with the network."""
        if isinstance(self.network, Graph):
            check_type("coding", self.coding, ValueCoding)
            check_type("readout", self.readout, LargestScore)
        check_type("network", self.network, WinnerTakeAll)
        check_type("coding", self.coding, RateCoding)
        if not isinstance(self.readout, WeightedResponse):
            check_type("readout", self.readout, MeanResponse)


def _check_layer(coding: RateCoding, layer: WinnerTakeAll, readout: MeanResponse | WeightedResponse) -> None:
    if coding.inputs != layer.inputs:
        raise ValueError(f"coding must give {layer.inputs} inputs, got {coding.inputs}.")
    if readout.neurons != layer.neurons:
        raise ValueError(f"readout must be of {layer.neurons} neurons, as the network is, got {readout.neurons}.")


def _check_graph(coding: ValueCoding, graph: Graph, readout: LargestScore) -> None:
    fmt = coding.quantization.format
    if (coding.shape, fmt) != (graph.input_shape, graph.input_format):
        raise ValueError(
            f"coding must give {graph.input_format} of shape {graph.input_shape}, got {fmt} of {coding.shape}."
        )
    if graph.steps not in (None, coding.steps):
        raise ValueError(f"coding must have {graph.steps} steps, as the network's constants have, got {coding.steps}.")
    readout.scores(graph, coding.steps)


NODES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Accumulator, Accumulators, Affine, Array, Codes, Concatenation, Constant, Convolution, Delay, Graph,
        IntegerModel, IntegrateAndFire, LargestScore, Linear, MeanResponse, Offset, ParameterQuantization, Permutation,
        Pool, PowerOfTwo, QFormat, RateCoding, Requantization, Reshape, Scale, Sum, ValueCoding, WeightedResponse,
        WinnerTakeAll,
    )
}  # fmt: skip
