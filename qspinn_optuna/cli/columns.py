"""Columns of widths: one for each parameter, or in deep networks for each group of tied parameters or each family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.space import parameter_of

_FEW = 12
"""Columns that a table can have beside others."""

_MOST = 24
"""Columns of single parameters that a table has at most."""


@dataclass(frozen=True)
class WidthColumns:
    """Columns of widths.

    Args:
        names: The parameters of each column, by its title.
        grouped: Whether columns are of groups of parameters, so that a configuration is described by groups, too.
    """

    names: Mapping[str, Sequence[str]]
    grouped: bool = False

    @classmethod
    def of(cls, configs: Sequence[QuantizationConfig], space: Mapping[str, Any] | None) -> WidthColumns:
        """The finest columns that can be read.

        Args:
            configs: The configurations of the table, at least one.
            space: The description of the space, see :func:`~qspinn_optuna.study.space_of`; None if it is not known.
        """
        single = _single(configs)
        if len(single) <= _FEW:
            return cls(single)
        entries = {} if space is None else space["parameters"]
        parameters = {name: entries[name] for name in configs[0].parameters if name in entries}
        if len(parameters) < len(configs[0].parameters):
            return cls(single)
        tied = _grouped({name: parameter_of(entry["dimensions"][0]) for name, entry in parameters.items()})
        if len(tied) <= _FEW:
            return cls(tied, grouped=True)
        if len(single) <= _MOST:
            return cls(single)
        return cls(_grouped({name: entry["family"] for name, entry in parameters.items()}), grouped=True)

    def cells(self, config: QuantizationConfig) -> list[str]:
        """The width in each column; the first and the last if parameters of a column differ."""
        widths = [{config.bits[name] for name in names} for names in self.names.values()]
        return [str(*each) if len(each) == 1 else f"{min(each)}-{max(each)}" for each in widths]

    def formats(self, config: QuantizationConfig) -> str:
        """The format of every parameter, or of each group how many parameters have which."""
        formats = {name: str(quantization.format) for name, quantization in config.parameters.items()}
        if not self.grouped:
            return ", ".join(f"{name} {fmt}" for name, fmt in formats.items())
        groups = {title: Counter(formats[name] for name in names) for title, names in self.names.items()}
        return ", ".join(f"{title} {_counted(counts)}" for title, counts in groups.items())


def _single(configs: Sequence[QuantizationConfig]) -> dict[str, list[str]]:
    """A column for each parameter; thresholds, and decays, in one if their widths are the same."""
    widths = [config.bits for config in configs]
    columns: dict[str, list[str]] = {}
    for name in widths[0]:
        kind = name.rpartition(".")[2]
        alike = [other for other in widths[0] if other.endswith(f".{kind}")]
        same = kind in ("threshold", "decay") and all(len({row[other] for other in alike}) == 1 for row in widths)
        columns.setdefault(kind if same else name, alike if same else [name])
    return columns


def _grouped(titles: Mapping[str, str]) -> dict[str, list[str]]:
    """Columns by the title that each parameter has."""
    columns: dict[str, list[str]] = {}
    for name, title in titles.items():
        columns.setdefault(title, []).append(name)
    return columns


def _counted(formats: Counter[str]) -> str:
    if formats.total() == 1:
        return next(iter(formats))
    return " + ".join(f"{count} x {fmt}" for fmt, count in formats.most_common())
