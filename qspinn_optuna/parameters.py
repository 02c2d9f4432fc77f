"""The stored arrays of a network, and their memory: elements times bits.

.. include:: parameters.md
   :start-line: 2
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qspinn_optuna.fixed_point import GridKind, QFormat
from qspinn_optuna.fixed_point.qformat import MAX_BITS, check_range
from qspinn_optuna.tables import format_table, markdown_table
from qspinn_optuna.vocabulary import Vocabulary

BASELINE_BITS = 32
"""Width of every element of the unquantized original."""

_SMALL_KIB = 0.1
"""Under this, two decimals of a memory in KiB say little."""


class Family(Vocabulary):
    """Kinds of parameters; parameters of one family are usually quantized alike.

    Example:
        >>> [parameter.family.value for parameter in workload.parameters]
        ['weight', 'membrane']
    """

    WEIGHT = "weight"
    BIAS = "bias"
    SCALE = "scale"
    """Factors of weight codes, per channel or neuron, and of averages."""
    MEMBRANE = "membrane"
    THRESHOLD = "threshold"
    DECAY = "decay"
    TRACE = "trace"
    READOUT = "readout"
    """Weights by which spikes of a neuron speak for each class."""
    INPUT = "input"
    """What enters the network, a layer or neurons at one time step, if the device has to round it."""


class Memory(Vocabulary):
    """Kinds of memory of a device.

    Example:
        >>> memory_for(Family.MEMBRANE, Deployment.INFERENCE)
        <Memory.RAM: 'ram'>
    """

    FLASH = "flash"
    """Constants: written once, when the device is programmed."""

    RAM = "ram"
    """State: what the device changes while it runs."""


class Deployment(Vocabulary):
    """What the device does with the network, which decides what it stores, and in which memory.

    Example:
        >>> memory_for(Family.WEIGHT, Deployment.INFERENCE), memory_for(Family.WEIGHT, Deployment.LEARNING)
        (<Memory.FLASH: 'flash'>, <Memory.RAM: 'ram'>)
    """

    INFERENCE = "inference"
    LEARNING = "learning"
    """On-device learning: the parameters of training, such as traces, are stored too."""


_STATES = frozenset({Family.MEMBRANE, Family.TRACE, Family.INPUT})
"""Families that change at every time step."""


def memory_for(family: Family, deployment: Deployment) -> Memory:
    """The memory in which a device keeps the parameters of a family.

    Membranes, traces and buffers of inputs are state. Weights, biases, scales and thresholds are constants of a device
    that infers, and state of one that learns. Decays are constants of both.

    Example:
        >>> memory_for(Family.DECAY, Deployment.LEARNING)
        <Memory.FLASH: 'flash'>
    """
    if family in _STATES:
        return Memory.RAM
    learns = Deployment(deployment) is Deployment.LEARNING and family is not Family.DECAY
    return Memory.RAM if learns else Memory.FLASH


@dataclass(frozen=True)
class ParameterSpec:
    """One stored array of a network.

    Example:
        >>> weight = ParameterSpec("fc.weight", Family.WEIGHT, count=7_840, low=-0.5, high=0.4)
        >>> str(weight.format(4))
        'Q-1.4'

    Args:
        name: Unique name, such as "conv1.weight", "lif1.v" or "trace_pre".
        family: Its family.
        count: Number of elements on the device.
        low: Low end of the calibrated range; a negative one needs a signed format.
        high: High end of the calibrated range.
        learning_only: Whether only on-device learning stores the array.
        fixed_bits: Width of an element in every configuration, for arrays that are not searched, such as labels and
            masks.
        baseline_count: Number of elements in the 32-bit original; ``count`` if not given, 0 for arrays that
            quantization adds.
        max_bits: Widest format that can be simulated exactly.
        formats: Formats that :meth:`format` prefers to one that covers the range, at most one of each width and grid:
            a narrow format may do better if it clips rare values than if it is coarse.
        memory: The memory that keeps it, if it is not that of its family.
        grids: The grids that a format may have. A space chooses one of several.

    Raises:
        TypeError: If a number of elements or bits is not an int, or ``formats`` has an element that is not a format.
        ValueError: If the name is empty, ``family`` or ``memory`` is unknown, ``count`` is under 1, ``fixed_bits`` is
            outside 1-32, ``max_bits`` is outside 1-24, ``baseline_count`` is negative, the range is not finite,
            reversed or (0, 0), two of ``formats`` have the same width and grid, or there are no ``grids``.
    """

    name: str
    family: Family
    count: int
    low: float
    high: float
    learning_only: bool = False
    fixed_bits: int | None = None
    baseline_count: int | None = None
    max_bits: int = MAX_BITS
    formats: tuple[QFormat, ...] = field(default=(), repr=False)
    memory: Memory | None = None
    grids: tuple[GridKind, ...] = (GridKind.MID_TREAD,)

    def __post_init__(self) -> None:
        for name in ("count", "fixed_bits", "baseline_count", "max_bits"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise TypeError(f"{name} of {self.name!r} must be an int, got {value!r}.")
        if not isinstance(self.name, str) or self.name.split() != [self.name]:
            raise ValueError(f"name must be a word without spaces, got {self.name!r}.")
        object.__setattr__(self, "family", Family(self.family))
        if self.memory is not None:
            object.__setattr__(self, "memory", Memory(self.memory))
        if self.count < 1:
            raise ValueError(f"count of {self.name!r} must be at least 1, got {self.count}.")
        if self.fixed_bits is not None and not 1 <= self.fixed_bits <= BASELINE_BITS:
            raise ValueError(
                f"fixed_bits of {self.name!r} must be between 1 and {BASELINE_BITS}, got {self.fixed_bits}."
            )
        if self.baseline_count is not None and self.baseline_count < 0:
            raise ValueError(f"baseline_count of {self.name!r} must not be negative, got {self.baseline_count}.")
        if not 1 <= self.max_bits <= MAX_BITS:
            raise ValueError(f"max_bits of {self.name!r} must be between 1 and {MAX_BITS}, got {self.max_bits}.")
        try:
            object.__setattr__(self, "low", float(self.low))
            object.__setattr__(self, "high", float(self.high))
            check_range(self.low, self.high)
        except ValueError as error:
            raise ValueError(f"Parameter {self.name!r}: {error}") from None
        object.__setattr__(self, "formats", tuple(self.formats))
        if not all(isinstance(fmt, QFormat) for fmt in self.formats):
            raise TypeError(f"formats of {self.name!r} must be QFormats, got {self.formats!r}.")
        if len({(fmt.bits, fmt.grid) for fmt in self.formats}) < len(self.formats):
            raise ValueError(f"formats of {self.name!r} must have different widths, got {[*map(str, self.formats)]}.")
        object.__setattr__(self, "grids", tuple(dict.fromkeys(GridKind(grid) for grid in self.grids)))
        if not self.grids:
            raise ValueError(f"grids of {self.name!r} must have at least one of {[*map(str, GridKind)]}, got none.")

    def memory_for(self, deployment: Deployment) -> Memory:
        """The memory in which a device keeps the array."""
        return self.memory or memory_for(self.family, deployment)

    def format(self, bits: int, grid: GridKind | None = None) -> QFormat:
        """The format of a width in bits: the one of ``formats``, or else the finest that covers the calibrated range.

        Args:
            bits: The width.
            grid: One of ``grids``; the first if not given.

        Raises:
            ValueError: If there is no such format; see :meth:`QFormat.covering`.
        """
        wanted = self.grids[0] if grid is None else GridKind(grid)
        if wanted not in self.grids:
            raise ValueError(f"grid of {self.name!r} must be one of {[*map(str, self.grids)]}, got {wanted.value!r}.")
        for fmt in self.formats:
            if fmt.bits == bits and fmt.grid is wanted:
                return fmt
        try:
            return QFormat.covering(self.low, self.high, bits, wanted)
        except ValueError as error:
            raise ValueError(f"Parameter {self.name!r}: {error}") from None


@dataclass(frozen=True)
class FootprintEntry:
    """Memory of one parameter.

    Example:
        >>> entry = space.footprint(choice.config).entries[1]
        >>> entry.name, entry.count, entry.width, entry.bits
        ('lif.v', 10, 6, 60)

    Args:
        name: Its name.
        family: Its family.
        count: Number of elements.
        width: Bits of an element.
        baseline_bits: Its bits in the 32-bit original.
        memory: The memory that keeps it.
    """

    name: str
    family: Family
    count: int
    width: int
    baseline_bits: int
    memory: Memory

    @property
    def bits(self) -> int:
        """Memory in bits."""
        return self.count * self.width

    @property
    def flash_bits(self) -> int:
        """Flash in bits."""
        return self.bits if self.memory is Memory.FLASH else 0

    @property
    def ram_bits(self) -> int:
        """RAM in bits."""
        return self.bits if self.memory is Memory.RAM else 0


@dataclass(frozen=True, repr=False)
class Footprint:
    """Memory that the device stores for a network, in closed form; printed, and in notebooks, it is a table.

    Example:
        >>> print(Footprint.of(workload.parameters, {"fc.weight": 4, "lif.v": 6}))
        parameter  family    elements  bits  KiB     memory
        ---------  --------  --------  ----  ------  ------
        fc.weight  weight       7,840     4    3.83  flash
        lif.v      membrane        10     6  0.0073  ram
        3.84 KiB, 7.99x smaller than 32 bits; flash 3.83 KiB, RAM 0.0073 KiB

    Args:
        entries: One for each stored parameter.
    """

    entries: tuple[FootprintEntry, ...]

    def __repr__(self) -> str:
        return f"Footprint({self._summary}, {len(self.entries)} parameters)"

    def __str__(self) -> str:
        return format_table(_FOOTPRINT_HEADER, [*map(_footprint_row, self.entries)]) + f"\n{self._summary}"

    def _repr_markdown_(self) -> str:
        return markdown_table(_FOOTPRINT_HEADER, [*map(_footprint_row, self.entries)]) + f"\n\n{self._summary}"

    @property
    def _summary(self) -> str:
        split = f"flash {format_kib(self.flash_kib)} KiB, RAM {format_kib(self.ram_kib)} KiB"
        return f"{format_kib(self.kib)} KiB, {self.compression:.2f}x smaller than 32 bits; {split}"

    @classmethod
    def of(
        cls,
        parameters: Iterable[ParameterSpec],
        widths: Mapping[str, int],
        deployment: Deployment = Deployment.INFERENCE,
    ) -> Footprint:
        """The footprint of parameters with given widths.

        Args:
            parameters: The parameters of the network.
            widths: Width in bits, by name, of every stored parameter without a fixed width.
            deployment: What the device does.

        Raises:
            ValueError: If nothing is stored, or a width is missing or outside 1-24.
        """
        entries = []
        for parameter in stored(parameters, deployment):
            width = parameter.fixed_bits or widths.get(parameter.name)
            if width is None:
                raise ValueError(f"widths must name every parameter, {parameter.name!r} is missing.")
            if parameter.fixed_bits is None and not 1 <= width <= MAX_BITS:
                raise ValueError(f"The width of {parameter.name!r} must be between 1 and {MAX_BITS}, got {width}.")
            original = parameter.count if parameter.baseline_count is None else parameter.baseline_count
            baseline_bits, memory = original * BASELINE_BITS, parameter.memory_for(deployment)
            entries.append(
                FootprintEntry(parameter.name, parameter.family, parameter.count, width, baseline_bits, memory)
            )
        if not entries:
            raise ValueError(f"parameters must have at least one that {deployment} stores, got none.")
        return cls(tuple(entries))

    @property
    def bits(self) -> int:
        """Memory in bits."""
        return sum(entry.bits for entry in self.entries)

    @property
    def kib(self) -> float:
        """Memory in KiB (1,024 bytes)."""
        return kib_of(self.bits)

    @property
    def flash_bits(self) -> int:
        """Flash in bits: what the device never changes."""
        return sum(entry.flash_bits for entry in self.entries)

    @property
    def flash_kib(self) -> float:
        """Flash in KiB."""
        return kib_of(self.flash_bits)

    @property
    def ram_bits(self) -> int:
        """RAM in bits: what the device changes, without the buffers and accumulators of its program."""
        return sum(entry.ram_bits for entry in self.entries)

    @property
    def ram_kib(self) -> float:
        """RAM in KiB."""
        return kib_of(self.ram_bits)

    @property
    def baseline_kib(self) -> float:
        """Memory of the 32-bit original in KiB."""
        return kib_of(sum(entry.baseline_bits for entry in self.entries))

    @property
    def compression(self) -> float:
        """How many times smaller the network is than the 32-bit original: 16.0 is sixteen times."""
        return self.baseline_kib / self.kib

    @property
    def by_parameter(self) -> dict[str, int]:
        """Memory in bits of each parameter."""
        return {entry.name: entry.bits for entry in self.entries}

    @property
    def memories(self) -> dict[str, Memory]:
        """The memory that keeps each parameter."""
        return {entry.name: entry.memory for entry in self.entries}

    @property
    def by_family(self) -> dict[Family, int]:
        """Memory in bits of each family that occurs."""
        total: dict[Family, int] = {}
        for entry in self.entries:
            total[entry.family] = total.get(entry.family, 0) + entry.bits
        return total


_FOOTPRINT_HEADER = ("parameter", "family", "elements", "bits", "KiB", "memory")


def _footprint_row(entry: FootprintEntry) -> list[str]:
    kib = format_kib(kib_of(entry.bits))
    return [entry.name, entry.family.value, f"{entry.count:,}", str(entry.width), kib, entry.memory.value]


def kib_of(bits: int) -> float:
    """Bits in KiB (1,024 bytes).

    Example:
        >>> kib_of(8 * 1024)
        1.0
    """
    return bits / 8 / 1024


def format_kib(kib: float) -> str:
    """A memory in KiB as text: two decimals, or two digits if it is small.

    Example:
        >>> format_kib(12.345), format_kib(0.0123)
        ('12.35', '0.012')
    """
    return f"{kib:.2f}" if kib == 0 or abs(kib) >= _SMALL_KIB else f"{kib:.2g}"


def round_up_kib(kib: float) -> float:
    """The smallest memory that :func:`format_kib` writes exactly and that holds ``kib``, a positive one.

    Example:
        >>> round_up_kib(12.341)
        12.35
    """
    decimals = 2 if kib >= _SMALL_KIB else 1 - math.floor(math.log10(kib))
    scale: int = 10**decimals
    return math.ceil(scale * kib) / scale


def stored(parameters: Iterable[ParameterSpec], deployment: Deployment) -> tuple[ParameterSpec, ...]:
    """The parameters that a device stores for ``deployment``.

    Example:
        >>> trace = ParameterSpec("trace", Family.TRACE, 784, 0.0, 0.5, learning_only=True)
        >>> len(stored([trace], Deployment.INFERENCE)), len(stored([trace], Deployment.LEARNING))
        (0, 1)
    """
    learning = Deployment(deployment) is Deployment.LEARNING
    return tuple(parameter for parameter in parameters if learning or not parameter.learning_only)
