"""Train a network by surrogate gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.display import part
from qspinn_optuna.networks.quantization import is_quantized
from qspinn_optuna.networks.running.batches import Inputs, as_inputs, call, split
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.workloads.supervised.recipe import Distillation, QuantizedTraining, teacher_of
from qspinn_optuna.workloads.supervised.turns import Draws, in_turns, seeded

Batches = Iterable[tuple[Any, ...] | list[Any]]
"""Inputs as a network takes them, one or several, and labels, int64 [batch]: for (a, b, labels) the network is called
with a and b. They are iterated many times, as a ``DataLoader`` is."""

Loss = Callable[[nn.Module, Any, Tensor], Tensor]
"""The value to minimize, of a network, its inputs, a tuple if there are several, and labels."""

Scores = Callable[[Any], Tensor]
"""Takes class scores out of what a network puts out, such as a tuple or a dict."""

Train = Callable[[nn.Module, int], nn.Module]
"""Trains a network, given a seed, and returns it."""

TrainInParts = Callable[[nn.Module, int], Generator[float, None, None]]
"""Trains a network in place, given a seed; yields the fraction that is done whenever the network may be evaluated."""


def cross_entropy(network: nn.Module, inputs: Inputs, labels: Tensor, scores: Scores | None = None) -> Tensor:
    """Cross entropy of the class scores; see :func:`class_scores`."""
    found = class_scores(network, inputs, scores)
    check_batch(found, labels)
    if labels.ndim != 1 and labels.shape != found.shape:
        raise ValueError(f"labels must be class indices, [batch], got the shape {tuple(labels.shape)}.")
    return nn.functional.cross_entropy(found, labels)


def fit(
    network: nn.Module,
    seed: int,
    *,
    batches: Batches,
    epochs: int,
    learning_rate: float,
    loss: Loss = cross_entropy,
    scores: Scores | None = None,
    progress: bool = True,
    quantized: QuantizedTraining | None = None,
) -> nn.Module:
    """Train with Adam and a cosine schedule; with :func:`functools.partial` a training function of a workload.

    Example:
        >>> train = functools.partial(fit, batches=batches, epochs=1, learning_rate=1e-3, progress=False)
        >>> trained = train(network, seed=0)

    Args:
        network: Trained in place; see :func:`class_scores` for its output.
        seed: Of torch's global generators while this runs, for shuffling, augmentation and dropout.
        batches: The training set.
        epochs: Passes over it.
        learning_rate: At the start.
        loss: The value to minimize.
        scores: Takes the class scores out of the output, for the cross entropy; see :func:`class_scores`.
        progress: Whether to show a progress bar, if there is a terminal.
        quantized: What is different for a quantized network; a float one gets the same epochs, without it.

    Returns:
        ``network``.

    Raises:
        ValueError: If ``epochs`` is under 1, ``learning_rate`` is not positive, an epoch or a batch is empty, there are
            ``scores`` beside a ``loss``, or a distillation has no float network to learn from, or another loss.
    """
    settings: dict[str, Any] = {"epochs": epochs, "learning_rate": learning_rate, "loss": loss, "scores": scores}
    settings["quantized"] = quantized
    for _ in fit_by_epochs(network, seed, batches=batches, progress=progress, **settings):
        pass
    return network.eval()


def fit_by_epochs(
    network: nn.Module,
    seed: int,
    *,
    batches: Batches,
    epochs: int,
    learning_rate: float,
    loss: Loss = cross_entropy,
    scores: Scores | None = None,
    progress: bool = True,
    quantized: QuantizedTraining | None = None,
) -> Generator[float, None, None]:
    """Train as :func:`fit` does, to the same weights, and pause after every epoch, so that a copy can be evaluated.

    During a pause the caller may draw from torch's global generators, and must leave ``network`` as it is.

    Example:
        >>> [done for done in fit_by_epochs(network, 0, batches=batches, epochs=2, learning_rate=1e-3, progress=False)]
        [0.5, 1.0]

    Args:
        network: Trained in place; the other arguments as in :func:`fit`.
        seed: Of torch's global generators while this trains.
        batches: The training set.
        epochs: Passes over it.
        learning_rate: At the start.
        loss: The value to minimize.
        scores: Takes the class scores out of the output, for the cross entropy; see :func:`class_scores`.
        progress: Whether to show a progress bar, if there is a terminal.
        quantized: What is different for a quantized network.

    Yields:
        The fraction of the training that is done, 1 at last.

    Raises:
        ValueError: As in :func:`fit`.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}.")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate}.")
    if scores is not None and loss is not cross_entropy:
        raise ValueError("scores are for the cross entropy: your loss must take them out of the output itself.")
    recipe = quantized if quantized is not None and is_quantized(network) else QuantizedTraining(clip_gradients=True)
    if recipe.distillation is not None:
        if loss is not cross_entropy:
            raise ValueError("distillation is for the cross entropy: loss must not be given beside it.")
        loss = distilled(recipe.distillation, teacher_of(network), scores)
    elif scores is not None:
        loss = partial(cross_entropy, scores=scores)
    optimizer = torch.optim.Adam(recipe.groups(network, learning_rate), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    draws = Draws(seed)
    network.train()
    with part("training", epochs, "epoch", hidden=not progress) as shown:
        for epoch in range(epochs):
            loss_sum, seen = 0.0, 0
            with draws.resumed(), recipe.epoch(network, epoch / epochs):
                for batch in batches:
                    inputs, labels = labeled(batch)
                    functional.reset_net(network)
                    value = loss(network, inputs, labels)
                    optimizer.zero_grad()
                    value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    loss_sum, seen = loss_sum + value.item() * len(labels), seen + len(labels)
            if seen == 0:
                raise ValueError("batches must have at least one batch in every epoch: give a list or a DataLoader.")
            schedule.step()
            shown.advance(f"loss {loss_sum / seen:.3f}")
            yield (epoch + 1) / epochs
    functional.reset_net(network)


def distilled(distillation: Distillation, teacher: nn.Module, scores: Scores | None) -> Loss:
    """The cross entropy, and the divergence from the class scores of a float network."""
    teacher = fresh_copy(teacher).eval()

    def loss(network: nn.Module, inputs: Inputs, labels: Tensor) -> Tensor:
        with torch.no_grad():
            functional.reset_net(teacher)
            wanted = class_scores(teacher, inputs, scores)
        found = class_scores(network, inputs, scores)
        check_batch(found, labels)
        of_labels = nn.functional.cross_entropy(found, labels)
        weight = distillation.weight
        return weight * distillation.loss(found, wanted) + (1 - weight) * of_labels

    return loss


def run_training(
    name: str, train: Train | TrainInParts, network: nn.Module, seed: int
) -> Generator[tuple[float, nn.Module], None, nn.Module]:
    """Train a network by a function of the user's.

    Args:
        name: Of the argument that gave the function, for errors.
        train: The function.
        network: The function may train it in place.
        seed: The function gets it, and torch's global generators are seeded with it.

    Yields:
        Whenever ``train`` pauses, the fraction that is done and the network as it is then.

    Returns:
        The trained network, in evaluation mode, its states reset.

    Raises:
        TypeError: If ``train`` returns something else than a network.
    """
    with seeded(seed):
        trained: Any = train(network, seed)
    if isinstance(trained, Generator):
        with contextlib.closing(in_turns(trained, seed)) as parts:
            for done in parts:
                yield done, network
        trained = network
    if not isinstance(trained, nn.Module):
        raise TypeError(
            f"{name} must return the trained network, got {type(trained).__name__}: add `return network` to it."
        )
    functional.reset_net(trained)
    return trained.eval()


def finish(training: Generator[object, None, nn.Module]) -> nn.Module:
    """Run a training to its end, whatever it yields; the network that it returns."""
    while True:
        try:
            next(training)
        except StopIteration as end:
            network: nn.Module = end.value
            return network


def labeled(batch: Any) -> tuple[Inputs, Tensor]:
    """Inputs and labels of a batch.

    Raises:
        ValueError: If it is no sequence of inputs and labels, or is empty.
    """
    inputs, labels = split(batch)
    if not isinstance(labels, Tensor):
        raise ValueError(
            f"A batch must be (inputs, labels) or (a, b, labels), tensors each, got {type(batch).__name__}."
        )
    return as_inputs(inputs, "The inputs of a batch"), labels


def class_scores(network: nn.Module, inputs: Inputs, scores: Scores | None = None) -> Tensor:
    """Class scores of a batch.

    Example:
        >>> class_scores(network, spikes).shape
        torch.Size([32, 4])

    Args:
        network: Returns scores, [batch, classes], or those of every time step, [steps, batch, classes].
        inputs: As the network takes them; a tuple for several.
        scores: Takes such scores out of what the network returns, if that is something else.

    Returns:
        Scores, [batch, classes], the mean over time steps.

    Raises:
        TypeError: If the output, or what ``scores`` makes of it, is no tensor.
        ValueError: If it has another number of dimensions.
    """
    output = call(network, inputs)
    if scores is not None:
        output = scores(output)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"scores must be a function that gives a tensor of class scores, got {type(output).__name__}."
            if scores is not None
            else f"The network returns {_described(output)}, no tensor: give SupervisedWorkload, and fit, scores=, a "
            "function that takes the class scores out of it, such as `lambda output: output[0]`."
        )
    if output.ndim not in (2, 3):
        raise ValueError(
            "The network must return [batch, classes] or [steps, batch, classes], got the shape "
            f"{tuple(output.shape)}: add a layer or a sum to its forward."
        )
    return output.mean(0) if output.ndim == 3 else output


def _described(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"{type(output).__name__} with the keys {list(output)}"
    return f"{type(output).__name__} of {len(output)}" if isinstance(output, tuple | list) else type(output).__name__


def check_batch(scores: Tensor, labels: Tensor) -> None:
    """Refuse scores of another number of samples than there are labels.

    Raises:
        ValueError: If they are.
    """
    if len(scores) != len(labels):
        raise ValueError(
            f"The network must return scores for the {len(labels)} samples of a batch, got {len(scores)}: its output "
            "must be [batch, classes] or [steps, batch, classes]."
        )
