"""The float network on full MNIST: trained on all 60,000 images on one thread, measured on the 10,000 of the test.

Nothing is chosen here, so no image is held out. The settings were tuned on the last 10,000 training images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from qspinn_optuna.datasets import ImageSplits, LabeledImages, mnist_from_folder
from qspinn_optuna.workloads.stdp import STDPSettings, STDPWorkload


def main() -> None:
    """Train and measure, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--neurons", type=int, default=400)
    arguments = parser.parse_args()
    data = with_all_training_images(mnist_from_folder(arguments.data_dir))
    # The network as it was trained: there is nothing to adapt to.
    settings = STDPSettings(neurons=arguments.neurons, adaptation_images=0)
    # Compile the kernels first: that is not training.
    _ = STDPWorkload(data.with_train_size(100), settings).network
    accuracies, seconds = [], []
    for seed in arguments.seeds:
        workload = STDPWorkload(data, settings, seed=seed, threads=1)
        start = time.perf_counter()
        _ = workload.network
        seconds.append(time.perf_counter() - start)
        accuracies.append(100 * workload.test_baseline)
        print(f"seed {seed}: {accuracies[-1]:.2f} %, {len(data.train):,} images in {seconds[-1]:.1f} s", flush=True)
    print(f"mean {statistics.mean(accuracies):.2f} %, {statistics.mean(seconds):.1f} s")


def with_all_training_images(data: ImageSplits) -> ImageSplits:
    """The splits with the held-out images given back to training."""
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    return ImageSplits(LabeledImages(images, labels), data.validation, data.test)


if __name__ == "__main__":
    main()
