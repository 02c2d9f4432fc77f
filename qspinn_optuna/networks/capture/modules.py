"""Modules that are recorded as a whole: neurons, affine steps, and what rounds inputs and states."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.fixed_point import Rounding as RoundingKind
from qspinn_optuna.fixed_point.draws import layer_key
from qspinn_optuna.networks.capture.elementwise import Rounding
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.layers import ChannelStep
from qspinn_optuna.networks.capture.recorder import Recorder
from qspinn_optuna.networks.capture.symbols import Entered, Stepped
from qspinn_optuna.networks.entry.rounded_inputs import InputQuantization, QuantizedInput
from qspinn_optuna.networks.modules.channel_affine import ChannelAffine, TemporalChannelAffine, channel_dimension
from qspinn_optuna.networks.modules.channel_scale import ChannelScale, ScaledSums, plan_of
from qspinn_optuna.networks.modules.keyed_draws import DrawSource
from qspinn_optuna.networks.modules.neurons import REPEATING, computes_integrate_and_fire
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.names import join


@dataclass(eq=False)
class NeuronCall:
    """A call of neurons.

    Args:
        step: First time step.
        inputs: Origins of what they take, [steps, ...], or of one step.
        spikes: What they put out.
        membranes: Their membranes after each step.
        values: Values of spikes and membranes, of the captured sample, [steps, ...].
    """

    step: int
    inputs: Tensor
    spikes: Stepped
    membranes: Stepped
    values: tuple[Tensor, Tensor]

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return len(self.values[0])

    def input_at(self, step: int) -> Tensor:
        """Origins of what they take at a time step."""
        return self.inputs[step - self.step] if self.spikes.several else self.inputs


@dataclass(eq=False)
class NeuronRecord:
    """Neurons of a run.

    Args:
        module: The neurons.
        calls: Their calls.
    """

    module: Any
    calls: list[NeuronCall] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Time steps so far."""
        return sum(call.steps for call in self.calls)

    def call_at(self, step: int) -> NeuronCall:
        """The call of a time step."""
        return next(call for call in self.calls if call.step <= step < call.step + call.steps)


def prepare(network: nn.Module, recorder: Recorder) -> dict[str, NeuronRecord]:
    """Let the modules of a network, which is changed, tell a recorder what they do; its neurons by name."""
    neurons: dict[str, NeuronRecord] = {}
    for name, module in network.named_modules():
        if isinstance(module, ChannelAffine):
            _replace_forward(module, partial(_affine, recorder, module, module.forward))
        elif isinstance(module, ScaledSums):
            module.__dict__["scale_sums"] = partial(_scaled, recorder, module, module.scale_sums)
        elif computes_integrate_and_fire(module):
            neurons[name] = NeuronRecord(module)
            _replace_forward(module, partial(_neurons, recorder, name, neurons[name]))
        elif has_states(module) and not isinstance(module, REPEATING):
            _replace_forward(module, partial(_refuse, name, module))
        if (quantization := module.__dict__.get("_input_quantization")) is not None:
            quantization.on_grid = partial(_round_input, recorder, quantization, quantization.on_grid)
        if (transform := module.__dict__.get("_state_transform")) is not None:
            module.__dict__["_state_transform"] = partial(_round_state, recorder, name, transform)
    return neurons


def _replace_forward(module: nn.Module, forward: Any) -> None:
    module.__dict__["forward"] = forward


def _refuse(name: str, module: nn.Module, *_: Any, **__: Any) -> Any:
    kind = type(module).__name__.removeprefix("Quantized")
    raise CaptureError(
        f"{name or 'The network'} ({kind}) cannot be captured: integer models have the neurons IFNode, LIFNode and "
        "ParametricLIFNode, their Simple twins, and classes of the user's that leave the step of these as it is."
    )


def _neurons(recorder: Recorder, name: str, record: NeuronRecord, x: Tensor) -> Tensor:
    module = record.module
    forward = type(module).forward.__get__(module)
    if (quantization := module.__dict__.get("_input_quantization")) is not None:
        (x,), _ = quantization.entered((x,), {})
        forward = super(QuantizedInput, module).forward
    before = module._memories["v"]
    if record.calls:
        last = record.calls[-1].membranes.origins
        expected = last[-1] if record.calls[-1].membranes.several else last
        if not isinstance(before, Tensor) or not torch.equal(recorder.origins(before), expected):
            raise CaptureError(f"{name} cannot be captured: its state is reset or changed between two steps.")
    elif isinstance(before, Tensor):
        raise CaptureError(f"{name} cannot be captured: it does not begin with a fresh state.")
    if not recorder.varies(x):
        raise CaptureError(f"{name} cannot be captured: what it takes does not depend on the input.")
    inputs = recorder.origins(x)
    several = module.step_mode == "m"
    if several:
        module.store_v_seq = True
    with recorder.paused():
        spikes: Tensor = forward(x)
        module._memories["v"] = v = module._memories["v"].clone()
        v_seq = module.v_seq if several else v.unsqueeze(0)
    where = name or "the network"
    step = record.steps
    made = [Stepped(tuple(spikes.shape), where, name, step, several, membranes) for membranes in (False, True)]
    recorder.attach(spikes, recorder.symbols.add(made[0]))
    membranes = recorder.symbols.add(made[1])
    recorder.attach(v, membranes[-1] if several else membranes)
    if several:
        recorder.attach(v_seq, membranes)
    elif isinstance(sequence := getattr(module, "v_seq", None), Tensor):
        before = [call.membranes.origins for call in record.calls]
        recorder.attach(sequence, torch.stack([*before, membranes]))
    values = (spikes if several else spikes.unsqueeze(0)).clone(), v_seq.clone()
    record.calls.append(NeuronCall(step, inputs, made[0], made[1], values))
    return spikes


def _affine(recorder: Recorder, module: Any, forward: Any, x: Tensor) -> Tensor:
    through_time, several = isinstance(module, TemporalChannelAffine), getattr(module, "step_mode", "s") == "m"
    axis = (2 if several else 1) if through_time else channel_dimension(module)
    counts = through_time and (module.continues or not several)
    kind = ChannelStep(
        axis=axis % x.ndim,
        fraction_bits=module.fraction_bits,
        first_row=(module.step if counts else 0) if through_time and len(module.scale) > 1 else None,
        steps_axis=0 if several else None,
    )
    operands = tuple(recorder.origins(one) for one in (x, module.scale, module.offset))
    with recorder.paused():
        result: Tensor = forward(x)
    return recorder.attach(result, recorder.computed("affine step", kind, operands, result))


def _scaled(recorder: Recorder, module: Any, scale_sums: Any, sums: Tensor) -> Tensor:
    """The scales of a layer, and its bias."""
    plan = plan_of(module)
    assert plan is not None
    kind = ChannelStep(
        axis=module.channel_axis % sums.ndim,
        fraction_bits=plan.fraction_bits,
        shifts=plan.kind is ChannelScale.POWER_OF_TWO,
    )
    stored = [getattr(module, plan.kind.parameter), *([] if module.stored_bias is None else [module.stored_bias])]
    operands = tuple(recorder.origins(one) for one in (sums, *stored))
    with recorder.paused():
        result: Tensor = scale_sums(sums)
    return recorder.attach(result, recorder.computed("scale", kind, operands, result))


def _round_input(
    recorder: Recorder, quantization: InputQuantization, on_grid: Any, value: Tensor, array: int
) -> tuple[Tensor, int]:
    """What enters the network, or a layer. The first rounding of what the input alone decides is that of the model."""
    varies = recorder.varies(value)
    with recorder.paused():
        result, steps = on_grid(value, array)
    if not varies:
        return result, steps
    result = result.clone()
    origins = recorder.origins(value)
    key = _key(quantization.draws)
    if recorder.is_raw(origins):
        symbol = Entered(
            tuple(result.shape), quantization.name, result.clone(), quantization.name, quantization.quantization, key
        )
        recorder.attach(result, recorder.symbols.add(symbol))
    else:
        kind = Rounding(quantization.name, quantization.quantization, quantization.finer_bits, key)
        recorder.attach(result, recorder.computed(quantization.name, kind, (origins,), result))
    return result, steps


def _round_state(recorder: Recorder, module_name: str, transform: Any, name: str, value: Tensor) -> Tensor:
    """A state that a module keeps for a later step: spikes are kept as they are."""
    varies = recorder.varies(value)
    with recorder.paused():
        result: Tensor = transform(name, value)
    states = getattr(transform, "states", {})
    if not varies or name not in states:
        return recorder.attach(result, recorder.origins(value)) if varies else result
    origins = recorder.origins(value)
    result = result.clone()
    spikes = all(isinstance(one, Stepped) and not one.membranes for one in recorder.symbols.among(origins))
    if spikes and _holds_spikes(states[name].format):
        return recorder.attach(result, origins)
    full = join(module_name, name)
    kind = Rounding(full, states[name], None, _key(transform.draws[name]))
    if states[name].rounding is RoundingKind.STOCHASTIC and name == "queue":
        raise CaptureError(f"{full} cannot be captured: a queue is rounded stochastically at every step.")
    return recorder.attach(result, recorder.computed(full, kind, (origins,), result))


def _holds_spikes(fmt: QFormat) -> bool:
    """Whether a format has 0 and 1."""
    return fmt.fraction_bits >= 0 and fmt.max >= 1


def _key(source: DrawSource) -> int:
    return layer_key(source.seed, source.name)
