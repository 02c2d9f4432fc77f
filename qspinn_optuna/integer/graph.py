"""A network as a graph of operations, run once a time step."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer.accumulators import Interval
from qspinn_optuna.integer.arrays import Accumulator, Array, Purpose, array_of
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.inference import check_delay, infer
from qspinn_optuna.integer.node import Node, check_has_zero, check_name, check_type, check_wholes
from qspinn_optuna.integer.operations import Affine, Delay, IntegrateAndFire, Operation, Requantization

INPUT = "input"
"""Name of the array that the coding gives."""


@dataclass(frozen=True, eq=False)
class Constant(Node):
    """An array that does not change.

    Example:
        >>> [constant.name for constant in model.network.constants]
        ['0.weight', '1.threshold', '1.decay', '2.weight']

    Args:
        name: As the network names its parameter, such as "conv1.weight".
        codes: Its values.
    """

    name: str
    codes: Codes

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_type("codes", self.codes, Codes)


@dataclass(frozen=True, eq=False)
class Graph(Node):
    """Operations in the order in which a step runs them.

    An operation reads :data:`INPUT` and results of operations before it; a :class:`~.operations.Delay` of any.

    Example:
        >>> [type(operation).__name__ for operation in model.network.operations]
        ['Linear', 'IntegrateAndFire', 'Linear']

    Args:
        input_shape: Of one sample's input at one step.
        input_format: Of the input.
        constants: All constants, each once, however many operations read it.
        operations: The operations.

    Attributes:
        arrays: The input and the results, in the order of the operations; membranes follow spikes.
        accumulators: What operations compute on the way to their results.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a name is given twice, is not there or not yet there, a constant is not used, shapes do not fit,
            or no accumulator is wide enough.
    """

    input_shape: tuple[int, ...]
    input_format: QFormat
    constants: tuple[Constant, ...]
    operations: tuple[Operation, ...]
    arrays: tuple[Array, ...] = field(init=False)
    accumulators: tuple[Accumulator, ...] = field(init=False)

    def __post_init__(self) -> None:
        check_wholes("input_shape", self.input_shape, 1)
        check_type("input_format", self.input_format, QFormat)
        check_has_zero("input_format", self.input_format)
        for name, kind in (("constants", Constant), ("operations", Operation)):
            check_type(name, getattr(self, name), tuple)
            for part in getattr(self, name):
                check_type(name, part, kind)
        self._check_constants()
        arrays, accumulators = self._infer()
        object.__setattr__(self, "arrays", tuple(arrays.values()))
        object.__setattr__(self, "accumulators", tuple(accumulators))

    def array(self, name: str) -> Array:
        """What is known of the array of a name.

        Raises:
            ValueError: If there is none.
        """
        if name not in self._arrays:
            raise ValueError(f"name must be one of {list(self._arrays)}, got {name!r}.")
        return self._arrays[name]

    def accumulator(self, operation: str, purpose: Purpose) -> Accumulator:
        """What an operation computes on the way.

        Raises:
            ValueError: If it computes no such thing.
        """
        for accumulator in self.accumulators:
            if (accumulator.operation, accumulator.purpose) == (operation, purpose):
                return accumulator
        raise ValueError(f"operation must be one that computes what is {purpose}, got {operation!r}.")

    @cached_property
    def codes(self) -> dict[str, Codes]:
        """The constants, by name."""
        return {constant.name: constant.codes for constant in self.constants}

    @property
    def steps(self) -> int | None:
        """Steps for which there are constants; None if they are the same at all steps."""
        rows = [
            len(self.codes[name].array)
            for operation in self.operations
            if isinstance(operation, Affine)
            for name in operation.constants
        ]
        return max((count for count in rows if count > 1), default=None)

    @property
    def constant_bits(self) -> int:
        """Memory of the constants."""
        return sum(constant.codes.bits for constant in self.constants)

    @property
    def state_bits(self) -> int:
        """Memory of membranes, of delayed arrays, and of what is held in the format of the layer that takes it."""
        return sum(self.array(operation.name).elements * _held_bits(operation) for operation in self.operations)

    @cached_property
    def _arrays(self) -> dict[str, Array]:
        return {array.name: array for array in self.arrays}

    def _check_constants(self) -> None:
        used = {name for operation in self.operations for name in operation.constants}
        names = [constant.name for constant in self.constants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"constants must have different names, got {twice} twice.")
        if missing := sorted(used - set(names)):
            raise ValueError(f"constants must hold all that operations read, {missing} are missing.")
        if idle := sorted(set(names) - used):
            raise ValueError(f"constants must be read by an operation, {idle} are not.")

    def _infer(self) -> tuple[dict[str, Array], list[Accumulator]]:
        """What is known of all arrays, by name, and of what is computed on the way."""
        fmt = self.input_format
        codes = Interval(fmt.min_code, fmt.max_code)
        arrays = {INPUT: array_of(INPUT, self.input_shape, fmt.fraction_bits, codes)}
        accumulators: list[Accumulator] = []
        for operation in self.operations:
            try:
                inferred = infer(operation, self._sources(operation, arrays), self.codes)
            except ValueError as error:
                raise ValueError(f"operation {operation.name!r} cannot be computed: {error}") from error
            for array in inferred.arrays:
                if array.name in arrays:
                    raise ValueError(f"operations must have different names, got {array.name!r} twice.")
                arrays[array.name] = array
            accumulators += inferred.accumulators
        for operation in self.operations:
            if isinstance(operation, Delay):
                (source,) = operation.sources
                if source not in arrays:
                    raise ValueError(f"sources of {operation.name!r} must be among {list(arrays)}, got {source!r}.")
                check_delay(operation, arrays[source])
        return arrays, accumulators

    @staticmethod
    def _sources(operation: Operation, arrays: dict[str, Array]) -> list[Array]:
        """What an operation reads, of what there is before it."""
        if isinstance(operation, Delay):
            return []
        for source in operation.sources:
            if source not in arrays:
                raise ValueError(f"sources must be among what comes before, {list(arrays)}, got {source!r}.")
        return [arrays[source] for source in operation.sources]


def _held_bits(operation: Operation) -> int:
    """Bits of each value that a device keeps of an operation."""
    if isinstance(operation, IntegrateAndFire):
        return operation.membrane.format.bits
    if isinstance(operation, Delay):
        return operation.format.bits
    if isinstance(operation, Requantization):
        return operation.to.format.bits
    return 0
