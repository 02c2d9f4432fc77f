"""The deployable network as a value: everything that a device needs, as integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.integer import files
from qspinn_optuna.integer.accumulators import Accumulators
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.coding import RateCoding
from qspinn_optuna.integer.node import Node, check_whole
from qspinn_optuna.integer.readout import MeanResponse
from qspinn_optuna.integer.winner_take_all import WinnerTakeAll


@dataclass(frozen=True, eq=False)
class IntegerModel(Node):
    """A network that classifies images, whole: from pixels to classes.

    Draws of an image are keyed by ``seed`` and the number of its sample. With the numbers from ``first_sample``, the
    test set is classified as it was when the network was measured.

    Args:
        coding: From pixels to input spikes.
        network: The layers.
        readout: From spikes of the last layer to classes.
        seed: Of all draws.
        first_sample: Number of the first image of the test set.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If sizes of neighbours differ, or a number is negative.
    """

    coding: RateCoding
    network: WinnerTakeAll
    readout: MeanResponse
    seed: int
    first_sample: int

    def __post_init__(self) -> None:
        kinds = {"coding": RateCoding, "network": WinnerTakeAll, "readout": MeanResponse}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be a {kind.__name__}, got {getattr(self, name)!r}.")
        if self.coding.inputs != self.network.inputs:
            raise ValueError(f"coding must give {self.network.inputs} inputs, got {self.coding.inputs}.")
        if len(self.readout.labels) != self.network.neurons:
            raise ValueError(
                f"readout must have a label for each of {self.network.neurons} neurons, got {len(self.readout.labels)}."
            )
        check_whole("seed", self.seed, 0)
        check_whole("first_sample", self.first_sample, 0)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.readout.classes

    @property
    def constant_bits(self) -> int:
        """Memory of what does not change (flash), in bits."""
        return self.coding.constant_bits + self.network.constant_bits + self.readout.constant_bits

    @property
    def state_bits(self) -> int:
        """Memory of what changes (RAM), in bits, without accumulators and buffers."""
        return self.network.state_bits

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
        model = files.read(folder, _NODES)
        if not isinstance(model, IntegerModel):
            raise ValueError(f"{folder} must hold an IntegerModel, got a {type(model).__name__}.")
        return model


_NODES = {
    kind.__name__: kind
    for kind in (
        Accumulators, Codes, IntegerModel, MeanResponse, ParameterQuantization, QFormat, RateCoding, WinnerTakeAll,
    )
}  # fmt: skip
