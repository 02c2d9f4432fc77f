"""The networks of SpikingJelly's model folder, scaled down.

Its modules are imported when a network is made, so that an import that fails is the failure of one architecture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from zoo.architecture import Architecture, Counts, Outcome, conv, lif, linear
from zoo.samples import grey, pixels, spikes

STEPS = 2


class OverTime(nn.Module):
    """Shows a network in multi-step mode the same images at every step, and averages over the steps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores, [batch, classes]."""
        scores: Tensor = self.network(images.unsqueeze(0).repeat(STEPS, *[1] * images.ndim)).mean(0)
        return scores


class StepByStep(nn.Module):
    """Shows a network in single-step mode the same images at every step, and adds up over the steps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Scores, [batch, classes]."""
        scores: Tensor = self.network(images)
        for _ in range(STEPS - 1):
            scores = scores + self.network(images)
        return scores


def _parametric(name: str, kind: type[nn.Module] = neuron.LIFNode) -> nn.Module:
    from spikingjelly.activation_based.model import parametric_lif_net  # noqa: PLC0415

    return OverTime(getattr(parametric_lif_net, name)(channels=4, spiking_neuron=kind))


def _resnet(module: str, kind: str, widths: Sequence[int], **arguments: Any) -> nn.Module:
    """A ResNet-18 with other widths than its class has: as its ``__init__``, which fixes them."""
    models: Any = __import__(f"spikingjelly.activation_based.model.{module}", fromlist=[kind])
    network: Any = getattr(models, kind).__new__(getattr(models, kind))
    nn.Module.__init__(network)
    network._norm_layer, network.inplanes, network.dilation = layer.BatchNorm2d, widths[0], 1
    network.groups, network.base_width = 1, 64
    network.conv1 = layer.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
    network.bn1 = layer.BatchNorm2d(widths[0])
    network.sn1 = neuron.LIFNode()
    network.maxpool = layer.MaxPool2d(3, stride=2, padding=1)
    for number, width in enumerate(widths, start=1):
        stage = network._make_layer(
            models.BasicBlock, width, 2, stride=min(number, 2), spiking_neuron=neuron.LIFNode, **arguments
        )
        setattr(network, f"layer{number}", stage)
    network.avgpool = layer.AdaptiveAvgPool2d((1, 1))
    network.fc = layer.Linear(widths[-1], 10)
    return OverTime(network)


def _resnet_counts(widths: Sequence[int], size: int, *, element_wise: bool) -> Counts:
    """Two blocks of two convolutions a stage; spike-element-wise ones have a neuron in the shortcut too."""
    counts = conv(3, widths[0], 7) + lif(widths[0] * (size // 2) ** 2) + linear(widths[-1], 10)
    before = widths[0]
    size = size // 4
    for number, width in enumerate(widths):
        neurons = lif(width * size**2)
        counts = counts + conv(before, width, 3) + conv(width, width, 3) * 3 + neurons * 4
        if number > 0:
            counts = counts + conv(before, width, 1) + (neurons if element_wise else Counts())
        before, size = width, (size + 1) // 2
    return counts


def _sew_resnet18() -> nn.Module:
    from spikingjelly.activation_based.model import sew_resnet  # noqa: PLC0415

    return OverTime(sew_resnet.sew_resnet18(cnf="ADD", spiking_neuron=neuron.LIFNode, num_classes=10))


def _vgg() -> nn.Module:
    """SpikingJelly's VGG with a smaller classifier, whose own has 120 million weights."""
    from spikingjelly.activation_based.model.spiking_vgg import SpikingVGG  # noqa: PLC0415

    network: Any = SpikingVGG.__new__(SpikingVGG)
    nn.Module.__init__(network)
    network.features = SpikingVGG.make_layers([8, "M", 16, "M"], batch_norm=True, neuron=neuron.IFNode)
    network.avgpool = layer.AdaptiveAvgPool2d((7, 7))
    network.classifier = nn.Sequential(
        layer.Linear(16 * 49, 32), neuron.LIFNode(), layer.Dropout(), layer.Linear(32, 10)
    )
    return OverTime(network)


def _online_vgg(*, standardized: bool) -> nn.Module:
    from spikingjelly.activation_based.model.spiking_vggws_ottt import OTTTSpikingVGG  # noqa: PLC0415

    network = OTTTSpikingVGG(
        [8, "M", 512, "A"], weight_standardization=standardized, num_classes=10, spiking_neuron=neuron.OTTTLIFNode
    )
    return StepByStep(network)


def _spikformer() -> nn.Module:
    from spikingjelly.activation_based.model.spikformer import Spikformer  # noqa: PLC0415

    network: nn.Module = Spikformer(
        STEPS, 3, 16, 16, patch_size=4, num_classes=10, embed_dims=32, num_heads=2, mlp_ratio=2.0, depths=1
    )
    return network


def _qkformer() -> nn.Module:
    from spikingjelly.activation_based.model.qkformer import QKFormer  # noqa: PLC0415

    network: nn.Module = QKFormer(STEPS, 3, 10, embed_dims=32, num_heads=(1, 2, 2), depths=(1, 1, 1), mlp_ratio=2.0)
    return network


def _maxformer(*, cifar: bool) -> nn.Module:
    from spikingjelly.activation_based.model.maxformer import MaxFormer  # noqa: PLC0415

    network: nn.Module = MaxFormer(STEPS, 3, 10, embed_dims=32, depths=(1, 1, 1), mlp_ratio=2.0, cifar=cifar)
    return network


def _spike_driven() -> nn.Module:
    from spikingjelly.activation_based.model.spike_driven_transformer import SpikeDrivenTransformer  # noqa: PLC0415

    network: nn.Module = SpikeDrivenTransformer(STEPS, 3, 10, embed_dims=32, num_heads=2, depths=1, mlp_ratio=2.0)
    return network


def _ms_resnet(kind: str) -> nn.Module:
    from spikingjelly.activation_based.model import ms_resnet  # noqa: PLC0415

    network: nn.Module = getattr(ms_resnet, kind)(
        STEPS, 3, 10, layers=(1, 1, 1), base_channels=8, stem_kernel_size=3, stem_stride=1
    )
    return network


def _multi_dimensional_attention() -> nn.Module:
    from spikingjelly.activation_based.model.masnn import MASNN  # noqa: PLC0415

    network: nn.Module = MASNN(
        STEPS, 2, 10, input_size=(16, 16), channels=(8, 8), pools=(1, 2), fc_hidden=16, reduction_t=1, reduction_c=2
    )
    return network


def _mlp_counts(width: int, hidden: int, tokens: int) -> Counts:
    """Two 1 x 1 convolutions, a neuron after each."""
    return conv(width, hidden, 1) + lif(hidden * tokens) + conv(hidden, width, 1) + lif(width * tokens)


def _attention_counts(width: int, tokens: int) -> Counts:
    """Queries, keys and values by one convolution; neurons after it, after the products, after the projection."""
    return conv(width, 3 * width, 1) + conv(width, width, 1) + lif(3 * width * tokens, width * tokens, width * tokens)


def _qk_attention_counts(width: int, heads: int, tokens: int) -> Counts:
    """Queries and keys only; a neuron for each head and token says which tokens pass."""
    return conv(width, 2 * width, 1) + conv(width, width, 1) + lif(2 * width * tokens, heads * tokens, width * tokens)


def _pre_neuron_mlp_counts(width: int, tokens: int) -> Counts:
    """The same with the neurons before the convolutions, twice as wide inside."""
    return conv(width, 2 * width, 1) + conv(2 * width, width, 1) + lif(width * tokens, 2 * width * tokens)


def _depth_wise_counts(width: int, kernel: int, tokens: int) -> Counts:
    return lif(width * tokens) + conv(width, width, kernel, groups=width) + _pre_neuron_mlp_counts(width, tokens)


def _ms_block_counts(before: int, width: int, size_before: int, size: int) -> Counts:
    """Neurons stand before the convolutions; the shortcut has one of its own where the shape changes."""
    main = lif(before * size_before**2, width * size**2) + conv(before, width, 3) + conv(width, width, 3)
    return main + (conv(before, width, 1) if (before, size_before) != (width, size) else Counts())


NARROW = (8, 16, 32, 64)

_MNIST_HEAD = lif(2048) + linear(2048, 100) + lif(100)

_SPIKFORMER = (
    (conv(3, 4, 3) + conv(4, 8, 3) + conv(8, 16, 3) + conv(16, 32, 3) + conv(32, 32, 3))
    + lif(4 * 16**2, 8 * 16**2, 16 * 8**2, 32 * 4**2, 32 * 4**2)
    + (_attention_counts(32, 16) + _mlp_counts(32, 64, 16) + linear(32, 10))
)

_QKFORMER = (
    (conv(3, 4, 3) + conv(4, 8, 3) + conv(8, 8, 3) + conv(4, 8, 1) + lif(4 * 16**2) + lif(8 * 8**2) * 3)
    + (conv(8, 16, 3) + conv(16, 16, 3) + conv(8, 16, 1) + lif(16 * 4**2) * 3)
    + (conv(16, 32, 3) + conv(32, 32, 3) + conv(16, 32, 1) + lif(32 * 2**2) * 3)
    + (_qk_attention_counts(8, 1, 64) + _mlp_counts(8, 16, 64))
    + (_qk_attention_counts(16, 2, 16) + _mlp_counts(16, 32, 16))
    + (_attention_counts(32, 4) + _mlp_counts(32, 64, 4))
    + linear(32, 10)
)

_MAXFORMER = (
    (conv(3, 4, 3) + lif(4 * 16**2) + conv(4, 8, 3) + lif(8 * 8**2) + conv(8, 8, 3) + conv(4, 8, 1))
    + (_depth_wise_counts(8, 7, 64))
    + (lif(8 * 8**2) + conv(8, 16, 1) + conv(8, 16, 3) + lif(16 * 4**2) + conv(16, 16, 3))
    + (_depth_wise_counts(16, 5, 16))
    + (lif(16 * 4**2) + conv(16, 32, 1) + conv(16, 32, 3) + lif(32 * 2**2) + conv(32, 32, 3))
    + (_attention_counts(32, 4) + _pre_neuron_mlp_counts(32, 4))
    + (lif(32) + linear(32, 10))
)

_MAXFORMER_CIFAR = (
    (conv(3, 4, 3) + lif(4 * 16**2) * 2 + conv(4, 8, 3) + conv(4, 8, 1))
    + (_pre_neuron_mlp_counts(8, 256))
    + (lif(8 * 16**2) + conv(8, 16, 1) + conv(8, 16, 3) + lif(16 * 8**2) + conv(16, 16, 3))
    + (_depth_wise_counts(16, 3, 64))
    + (lif(16 * 8**2) + conv(16, 32, 1) + conv(16, 32, 3) + lif(32 * 4**2) + conv(32, 32, 3))
    + (lif(32 * 16) + conv(32, 96, 1) + lif(96 * 16, 32 * 16) + conv(32, 32, 1) + _pre_neuron_mlp_counts(32, 16))
    + (lif(32) + linear(32, 10))
)

_SPIKE_DRIVEN = (
    (conv(3, 4, 3) + conv(4, 8, 3) + conv(8, 16, 3) + conv(16, 32, 3) + conv(32, 32, 3))
    + lif(4 * 32**2, 8 * 16**2, 16 * 8**2, 32 * 2**2)
    + (conv(32, 32, 1) * 4 + lif(32 * 4) * 4 + lif(32))
    + (_pre_neuron_mlp_counts(32, 4) + lif(32) + linear(32, 10))
)

_MS_RESNET = (
    conv(3, 8, 3) + _ms_block_counts(8, 8, 16, 8) + _ms_block_counts(8, 16, 8, 4) + _ms_block_counts(16, 32, 4, 2)
) + (lif(32 * 2**2) + linear(32, 10))

# The max pool of a transition stands after the first convolution, whose output is as large as its input.
_MAX_RESNET = (
    conv(3, 8, 3) + _ms_block_counts(8, 8, 16, 16) + _ms_block_counts(8, 16, 16, 8) + _ms_block_counts(16, 32, 8, 4)
) + (lif(32 * 4**2) + linear(32, 10))

SPIKINGJELLY = [
    Architecture(
        "MNISTNet",
        partial(_parametric, "MNISTNet"),
        spikes(1, 28, 28),
        conv(1, 4, 3) + conv(4, 4, 3) + lif(4 * 28**2, 4 * 14**2) + linear(4 * 7**2, 2048) + _MNIST_HEAD,
    ),
    Architecture(
        "NMNISTNet",
        partial(_parametric, "NMNISTNet"),
        spikes(2, 34, 34),
        conv(2, 4, 3) + conv(4, 4, 3) + lif(4 * 34**2, 4 * 17**2) + linear(4 * 8**2, 2048) + _MNIST_HEAD,
    ),
    Architecture(
        "CIFAR10Net, parametric",
        partial(_parametric, "CIFAR10Net", neuron.ParametricLIFNode),
        grey(3, 32, 32),
        conv(3, 4, 3)
        + conv(4, 4, 3) * 5
        + lif(4 * 32**2) * 3
        + lif(4 * 16**2) * 3
        + linear(4 * 8**2, 2048)
        + _MNIST_HEAD,
    ),
    Architecture(
        "CIFAR10DVSNet",
        partial(_parametric, "CIFAR10DVSNet"),
        spikes(2, 128, 128),
        conv(2, 4, 3)
        + conv(4, 4, 3) * 3
        + lif(4 * 128**2, 4 * 64**2, 4 * 32**2, 4 * 16**2)
        + linear(4 * 8**2, 512)
        + lif(512)
        + linear(512, 100)
        + lif(100),
    ),
    Architecture(
        "DVSGestureNet",
        partial(_parametric, "DVSGestureNet"),
        spikes(2, 128, 128),
        conv(2, 4, 3)
        + conv(4, 4, 3) * 4
        + lif(4 * 128**2, 4 * 64**2, 4 * 32**2, 4 * 16**2, 4 * 8**2)
        + linear(4 * 4**2, 512)
        + lif(512)
        + linear(512, 110)
        + lif(110),
    ),
    Architecture(
        "Spiking ResNet-18, narrow",
        partial(_resnet, "spiking_resnet", "SpikingResNet", NARROW),
        grey(3, 32, 32),
        _resnet_counts(NARROW, 32, element_wise=False),
    ),
    Architecture(
        "SEW-ResNet-18, narrow, 96 x 96",
        partial(_resnet, "sew_resnet", "SEWResNet", NARROW, cnf="ADD"),
        grey(3, 96, 96),
        _resnet_counts(NARROW, 96, element_wise=True),
        averages=1,  # of the last 3 x 3 pixels
    ),
    Architecture(
        "SEW-ResNet-18",
        _sew_resnet18,
        grey(3, 32, 32),
        _resnet_counts((64, 128, 256, 512), 32, element_wise=True),
    ),
    Architecture(
        "Spiking VGG",
        _vgg,
        grey(3, 28, 28),
        conv(3, 8, 3)
        + conv(8, 16, 3)
        + Counts(membrane=8 * 28**2 + 16 * 14**2, threshold=2)
        + linear(16 * 49, 32)
        + lif(32)
        + linear(32, 10),
    ),
    Architecture(
        "Spiking VGG, OTTT",
        partial(_online_vgg, standardized=False),
        grey(3, 8, 8),
        conv(3, 8, 3) + conv(8, 512, 3) + lif(8 * 8**2, 512 * 4**2) + linear(512, 10),
    ),
    Architecture(
        "Spiking VGG, OTTT, standardized weights",
        partial(_online_vgg, standardized=True),
        grey(3, 8, 8),
        None,
        expected=Outcome.REFUSED,
    ),
    Architecture("Spikformer", _spikformer, grey(3, 16, 16), _SPIKFORMER),
    Architecture("QKFormer", _qkformer, grey(3, 32, 32), _QKFORMER),
    Architecture("Max-Former", partial(_maxformer, cifar=False), grey(3, 32, 32), _MAXFORMER),
    Architecture("Max-Former, CIFAR", partial(_maxformer, cifar=True), pixels(3, 16, 16), _MAXFORMER_CIFAR),
    Architecture("Spike-driven Transformer", _spike_driven, grey(3, 32, 32), _SPIKE_DRIVEN),
    Architecture("MS-ResNet", partial(_ms_resnet, "MSResNet"), grey(3, 16, 16), _MS_RESNET),
    Architecture("Max-ResNet", partial(_ms_resnet, "MaxResNet"), grey(3, 16, 16), _MAX_RESNET),
    Architecture(
        "MA-SNN, attention gates", _multi_dimensional_attention, spikes(2, 16, 16), None, expected=Outcome.REFUSED
    ),
]
