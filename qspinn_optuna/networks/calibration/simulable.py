"""The widest parameters that float32 simulates exactly, found by running the quantized network before any study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from qspinn_optuna.config import InexactError, QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.networks.calibration.limits import Limit
from qspinn_optuna.networks.discovery.discovery import synaptic_parameters
from qspinn_optuna.networks.entry.contributions import OUTPUT
from qspinn_optuna.networks.entry.inputs import INPUT
from qspinn_optuna.networks.exactness import check_exact
from qspinn_optuna.networks.modules.coefficients import Coefficient, coefficients
from qspinn_optuna.networks.modules.support import SYNAPSES, UnsupportedNetworkError, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.quantization import freeze_network, quantize_network
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.parameters import Family, ParameterSpec

_NARROWEST = 2
"""Width to which parameters are limited at most."""

_FINE_STEPS = 10
"""Width from which limits are found bit by bit."""

_LIBRARIES = frozenset({"torch", "spikingjelly"})
"""Whose layers add up products of the weights that they store."""

_COMPUTING = ("forward", "_conv_forward", "__call__")

_ROUNDINGS = (Rounding.NEAREST, Rounding.TRUNCATION)
"""Stochastic rounding has the values of these."""


class NeverExactError(UnsupportedNetworkError):
    """No widths are simulated exactly."""


class ExactWidths:
    """Limits the widths of a network's parameters to what the simulation carries exactly.

    Args:
        network: Float, without batch normalization.
        inputs: A few samples.
        contributions: What is added up where, see :func:`~.contributions.contributions`.
    """

    def __init__(self, network: nn.Module, inputs: Inputs, contributions: Mapping[str, frozenset[str]]) -> None:
        self.network = network
        self.inputs = inputs
        self.contributions = contributions
        self._terms = _terms_of_modules(network)
        self._errors: dict[frozenset[tuple[str, QFormat]], InexactError | None] = {}
        self._limits: dict[str, Limit] = {}

    def passes(self, specs: Sequence[ParameterSpec], bits: int = MAX_BITS) -> bool:
        """Whether the network is exact at the widest widths of at most ``bits``."""
        return self._error(specs, {spec.name: min(spec.max_bits, bits) for spec in specs}) is None

    def are_never_exact(self, specs: Sequence[ParameterSpec]) -> bool:
        """Whether the network is exact neither at the widest widths nor at narrow ones."""
        return not self.passes(specs) and not self.passes(specs, _NARROWEST)

    @property
    def limits(self) -> list[Limit]:
        """The widths that :meth:`limited` has limited."""
        return list(self._limits.values())

    def limited(self, specs: Sequence[ParameterSpec]) -> tuple[ParameterSpec, ...]:
        """``specs`` with the ``max_bits`` with which the network is exact.

        What is added up with too many digits loses those behind the point first: of the parameters that reach the sum,
        the one with the finest grid gets fewer bits, until the sum is exact.

        Raises:
            NeverExactError: If not even narrow widths are exact, naming the layer, and what to change.
        """
        widths = {spec.name: spec.max_bits for spec in specs if spec.fixed_bits is None}
        error = self._error(specs, widths)
        if error is None:
            return tuple(specs)
        before = dict(widths)
        narrow = {name: min(bits, _NARROWEST) for name, bits in widths.items()}
        hopeless = self._error(specs, narrow)
        if hopeless is not None:
            raise NeverExactError(_remedy(hopeless, self.network)) from hopeless
        where: dict[str, str] = {}
        while error is not None:
            at = error.where or OUTPUT
            name = self._finest(at, specs, widths)
            if name is None:
                # Another layer's digits must be the reason: all become narrower together.
                most = max(widths.values()) - 1
                where |= {name: at for name, bits in widths.items() if bits > most}
                widths = {name: min(bits, most) for name, bits in widths.items()}
            else:
                where[name] = at
                widths[name] -= 2 if widths[name] > _FINE_STEPS else 1
            error = self._error(specs, widths)
        self._limits = {name: Limit(name, before[name], widths[name], at) for name, at in sorted(where.items())}
        return tuple(_narrowed(spec, widths[spec.name]) if spec.name in widths else spec for spec in specs)

    def _error(self, specs: Sequence[ParameterSpec], widths: Mapping[str, int]) -> InexactError | None:
        """Why the network is not exact; None if it is."""
        formats = {
            spec.name: spec.format(widths.get(spec.name, spec.max_bits)) for spec in specs if spec.fixed_bits is None
        }
        key = frozenset(formats.items())
        if key not in self._errors:
            self._errors[key] = self._error_of(formats)
        return self._errors[key]

    def _error_of(self, formats: Mapping[str, QFormat]) -> InexactError | None:
        for rounding in _ROUNDINGS:
            quantizations = {name: ParameterQuantization(fmt, rounding) for name, fmt in formats.items()}
            network = quantize_network(self.network, QuantizationConfig(Scheme.PTQ, quantizations))
            try:
                check_exact(freeze_network(network).eval(), self.inputs)
            except InexactError as error:
                return error
        return None

    def _finest(self, where: str, specs: Sequence[ParameterSpec], widths: Mapping[str, int]) -> str | None:
        """The parameter that takes most digits behind the point in the sum ``where``; None if none can be narrower."""
        by_name = {spec.name: spec for spec in specs if spec.name in widths}
        module = where if where in self.contributions else where.rpartition(".")[0]
        terms = [
            tuple(name for name in term if name in by_name)
            for source in {module, *self.contributions.get(module, ())}
            for term in self._terms_of(source)
        ]
        terms = [term for term in terms if any(widths[name] > _NARROWEST for name in term)]
        if not terms:
            return None
        digits = {name: spec.format(widths[name]).fraction_bits for name, spec in by_name.items()}
        finest = max(terms, key=lambda term: (sum(digits[name] for name in term), term))
        return max(finest, key=lambda name: (widths[name], name))

    def _terms_of(self, source: str) -> list[tuple[str, ...]]:
        """What a module adds to a sum: products of parameters, its own with those that reach it."""
        if source not in self._terms:
            return [(source,)]
        factors = [
            name
            for before in sorted(self.contributions.get(source, ()))
            for name in (self._terms[before][0] if self._terms.get(before) else (before,))
        ]
        products, alone = self._terms[source][:1], self._terms[source][1:]
        return [*((*product, *factors) for product in products), *alone]


def _terms_of_modules(network: nn.Module) -> dict[str, list[tuple[str, ...]]]:
    """Parameters that are summands, by their modules: of synapses the weight first, of others the states with decays.

    A shared weight is that of each of its modules.
    """
    names = {id(parameter): name for name, parameter in synaptic_parameters(network).items()}
    found: dict[str, list[tuple[str, ...]]] = {}
    for name, module in network.named_modules():
        own = [(names[id(each)],) for each in module.parameters(recurse=False) if id(each) in names]
        decays = [join(name, coefficient.name) for coefficient in _decays(module)]
        states = [(join(name, state), *decays) for state in getattr(module, "_memories", ())]
        if own or states:
            found[name] = [*own, *states]
    return found


def _decays(module: nn.Module) -> list[Coefficient]:
    found = coefficients(module) if has_states(module) else ()
    return [coefficient for coefficient in found if coefficient.family is Family.DECAY]


def _narrowed(spec: ParameterSpec, bits: int) -> ParameterSpec:
    if bits == spec.max_bits:
        return spec
    return replace(spec, max_bits=bits, formats=tuple(fmt for fmt in spec.formats if fmt.bits <= bits))


def _remedy(error: InexactError, network: nn.Module) -> str:
    what = str(error).partition(". ")[0]
    return (
        f"{error.where} cannot be simulated exactly, whatever the widths: with {_NARROWEST} bits a parameter, {what}. "
        + _advice(dict(network.named_modules()).get(error.where or ""))
    )


def _advice(module: nn.Module | None) -> str:
    if isinstance(module, SYNAPSES) and _computes_by_itself(type(module)):
        return (
            f"Its class {type(module).__name__} computes by a method of its own. If it makes weights of those that it "
            "stores, such as standardized ones, put these into a layer of torch's, or make it a parametrization "
            "(torch.nn.utils.parametrize), whose weights are quantized as they are used. Sums and products of weights "
            "and inputs are exact."
        )
    return (
        "What reaches it must be sums and products of fixed-point numbers, averages, what is computed from the "
        "input of the network alone, or spikes that are all scaled and shifted by the same numbers (both become "
        f"parameters {join('layer', INPUT)!r}). Give spikes with factors of their own layers of their own. Functions "
        "such as softmax, random numbers, and normalization by what layers put out have no fixed point: leave them "
        "out, or let neurons fire before the next layer."
    )


def _computes_by_itself(kind: type[nn.Module]) -> bool:
    """Whether a class of layers has a ``forward``, or what that calls, of the user's."""
    return any(
        name in vars(derived)
        for derived in kind.__mro__
        for name in _COMPUTING
        if derived.__module__.partition(".")[0] not in _LIBRARIES
    )
