"""A configuration: the scheme, and the format and rounding of every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.vocabulary import Vocabulary


class InexactError(ValueError):
    """A configuration that the simulation cannot carry exactly; a study prunes it.

    Example:
        >>> error = InexactError.at("fc", "The sums of 'fc' need more than 24 bits.")
        >>> error.where
        'fc'

    Attributes:
        where: The layer, state or output that is not exact, if it is one.
    """

    where: str | None = None

    @classmethod
    def at(cls, where: str, message: str) -> InexactError:
        """An error of one layer, state or output."""
        error = cls(message)
        error.where = where
        return error


class Scheme(Vocabulary):
    """When the network is quantized.

    Example:
        >>> Scheme("ptq") is Scheme.PTQ
        True
    """

    PTQ = "ptq"
    """Post-training: a trained network is quantized."""

    ITQ = "itq"
    """In-training: the network is quantized while it learns."""


@dataclass(frozen=True)
class QuantizationConfig:
    """A complete quantization of a network; comparable, hashable, to and from a plain dict.

    Example:
        >>> str(config.parameters["0.weight"].format), config.scheme.value
        ('Q-2.5', 'ptq')
        >>> config.bits["0.weight"]
        4
        >>> QuantizationConfig.from_dict(config.to_dict()) == config
        True

    Args:
        scheme: When the network is quantized.
        parameters: Format and rounding of each parameter, by name; copied and read-only.

    Raises:
        ValueError: If there are no parameters, or the scheme is unknown.
    """

    scheme: Scheme
    parameters: Mapping[str, ParameterQuantization]

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError("parameters must name at least one parameter, got none.")
        object.__setattr__(self, "scheme", Scheme(self.scheme))
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __str__(self) -> str:
        parameters = (f"{name} {each.format} {each.rounding}" for name, each in self.parameters.items())
        return f"{self.scheme}: {', '.join(parameters)}"

    def __hash__(self) -> int:
        return hash((self.scheme, frozenset(self.parameters.items())))

    def __getitem__(self, name: str) -> ParameterQuantization:
        return self.parameters[name]

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy does not pickle or deepcopy; a dict does.
        return type(self), (self.scheme, dict(self.parameters))

    @property
    def bits(self) -> dict[str, int]:
        """Width of every parameter in bits."""
        return {name: quantization.format.bits for name, quantization in self.parameters.items()}

    @property
    def roundings(self) -> dict[str, Rounding]:
        """Rounding of every parameter."""
        return {name: quantization.rounding for name, quantization in self.parameters.items()}

    def to_dict(self) -> dict[str, Any]:
        """A dict of strings for JSON; :meth:`from_dict` reads it back."""
        return {
            "scheme": self.scheme.value,
            "parameters": {
                name: {"format": str(quantization.format), "rounding": quantization.rounding.value}
                for name, quantization in self.parameters.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> QuantizationConfig:
        """The configuration that :meth:`to_dict` wrote.

        Raises:
            ValueError: If ``data`` is not such a dict.
        """
        try:
            parameters = {
                name: ParameterQuantization(QFormat.parse(entry["format"]), Rounding(entry["rounding"]))
                for name, entry in data["parameters"].items()
            }
            return cls(Scheme(data["scheme"]), parameters)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"data must be what QuantizationConfig.to_dict returns, got {data!r}.") from error
