"""Train a network by surrogate gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from tqdm import tqdm

Batches = Iterable[tuple[Tensor, Tensor]]
"""Inputs as the network takes them and labels, int64 [batch]; gone through again and again, as a ``DataLoader``."""


Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""What is minimized, of a network, inputs and labels."""


def cross_entropy(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the class scores."""
    scores = class_scores(network, inputs)
    check_batch(scores, labels)
    return nn.functional.cross_entropy(scores, labels)


def fit(
    network: nn.Module,
    seed: int,
    *,
    batches: Batches,
    epochs: int,
    learning_rate: float,
    loss: Loss = cross_entropy,
    progress: bool = True,
) -> nn.Module:
    """Train with Adam and a cosine schedule; with :func:`functools.partial` a training function of a workload.

    Args:
        network: Trained in place; see :func:`class_scores` for its output.
        seed: Of torch's global generator while this runs, for shuffling, augmentation and dropout.
        batches: The training set.
        epochs: Passes over it.
        learning_rate: At the start.
        loss: What is minimized.
        progress: Whether to show a progress bar.

    Returns:
        ``network``.

    Raises:
        ValueError: If ``epochs`` is under 1, ``learning_rate`` is not positive, or an epoch has no batches.
    """
    for _ in fit_by_epochs(
        network, seed, batches=batches, epochs=epochs, learning_rate=learning_rate, loss=loss, progress=progress
    ):
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
    progress: bool = True,
) -> Generator[float, None, None]:
    """Train as :func:`fit` does, to the same weights, and pause after every epoch, for the network to be looked at.

    Who looks may draw from torch's global generator, and must leave ``network`` as it is.

    Args:
        network: Trained in place; the other arguments as in :func:`fit`.
        seed: Of torch's global generator while this trains.
        batches: The training set.
        epochs: Passes over it.
        learning_rate: At the start.
        loss: What is minimized.
        progress: Whether to show a progress bar.

    Yields:
        The fraction of the training that is done, 1 at last.

    Raises:
        ValueError: As in :func:`fit`.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}.")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate}.")
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    draws = _Draws(seed)
    network.train()
    with tqdm(range(epochs), desc="training", unit="epoch", leave=False, disable=not progress) as bar:
        for epoch in bar:
            loss_sum, seen = 0.0, 0
            with draws.resumed():
                for inputs, labels in batches:
                    functional.reset_net(network)
                    value = loss(network, inputs, labels)
                    optimizer.zero_grad()
                    value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    loss_sum, seen = loss_sum + value.item() * len(labels), seen + len(labels)
            if seen == 0:
                raise ValueError("batches must have at least one batch in every epoch: give a list or a DataLoader.")
            schedule.step()
            bar.set_postfix(loss=f"{loss_sum / seen:.3f}")
            yield (epoch + 1) / epochs
    functional.reset_net(network)


def class_scores(network: nn.Module, inputs: Tensor) -> Tensor:
    """What the network says of a batch.

    Args:
        network: Returns scores, [batch, classes], or those of every time step, [steps, batch, classes].
        inputs: As the network takes them.

    Returns:
        Scores, [batch, classes], the mean over time steps.

    Raises:
        ValueError: If the output has another number of dimensions.
    """
    output: Tensor = network(inputs)
    if output.ndim not in (2, 3):
        raise ValueError(
            "The network must return [batch, classes] or [steps, batch, classes], got the shape "
            f"{tuple(output.shape)}: add a layer or a sum to its forward."
        )
    return output.mean(0) if output.ndim == 3 else output


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


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generators, and put them back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


class _Draws:
    """torch's global generators as a training left them, to go on with after a pause.

    Args:
        seed: What they begin with.
    """

    def __init__(self, seed: int) -> None:
        with seeded(seed):
            self._keep()

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """Go on drawing; what the generators were for others is put back afterwards."""
        with torch.random.fork_rng():
            torch.set_rng_state(self._cpu)
            if self._gpus:
                torch.cuda.set_rng_state_all(self._gpus)
            yield
            self._keep()

    def _keep(self) -> None:
        self._cpu = torch.get_rng_state()
        self._gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
