"""Networks that people bring, searched as they would do it: a file each, and `qspinn run FILE`.

The files are in the folder user_networks. Five of them are architectures, from SpikingJelly's model folder and beyond:
a study of a few trials should end with a front. Two are inputs that are no fixed-point numbers: there the goal is a
model at least 8 times smaller, within a point of the float network by held-out digits and by the test's, which the
table shows. All learn the 5,000 embedded digits, 1,000 of them the test's; with --data-dir, the test is MNIST's own
10,000 images, whose standard error is a third. What is chosen is chosen by held-out digits; the test comes
afterwards. Run again, studies go on, and finished ones are only reported.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from qspinn_optuna import Choice
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import Baseline, accuracies_on_test, baseline_of, open_storage, space_of

FOLDER = Path(__file__).with_suffix("")

SECONDS = "user networks: seconds"
"""Where a study keeps how long its runs took, training of the float network included."""


@dataclass(frozen=True)
class UserNetwork:
    """A file that someone brings, and how it is searched.

    Args:
        title: In the table.
        file: Its name, without the suffix; the study has it, too.
        trials: Of its study.
        options: More of the command line.
    """

    title: str
    file: str
    trials: int = 5
    options: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it is."""
        return FOLDER / f"{self.file}.py"


# The goal as a rule: the most accurate model within an eighth of the 337 KiB that the float network has. The smallest
# feasible one may be at the edge of a point by the held-out digits, and beyond it by others.
_AN_EIGHTH = ("--budget-kib", "42.1")

NETWORKS = (
    UserNetwork("SEW-ResNet18, 96 x 96", "sew_resnet18"),
    UserNetwork("QKFormer", "qkformer"),
    UserNetwork("Spikformer", "spikformer"),
    UserNetwork("MS-ResNet", "ms_resnet"),
    UserNetwork("TEBN", "tebn"),
    UserNetwork("pixels / 255", "pixels_by_255", 20, _AN_EIGHTH),
    UserNetwork("standardised digits", "standardised", 20, _AN_EIGHTH),
)

_HEADER = ("network", "arrays", "values", "smaller", "held out", "(float)", "test", "(float)", "trials", "seconds")
_LINE = "{:<{names}}  {:>6}  {:>7}  {:>7}  {:>8}  {:>7}  {:>6}  {:>7}  {:>6}  {:>7}"
"""A row of the table, whose columns are as wide as any result, so that each is printed when it is there."""


@dataclass(frozen=True)
class Result:
    """What a study found.

    Args:
        arrays: Parameters that are searched.
        values: What they hold together.
        choice: The chosen model.
        test: Its accuracy on the test set.
        baseline: Accuracies of the float network.
        trials: Trials that ended.
        seconds: Of all runs of the study.
    """

    arrays: int
    values: int
    choice: Choice
    test: float
    baseline: Baseline
    trials: int
    seconds: float

    @classmethod
    def of(cls, study: optuna.Study) -> Result:
        """The result of a study that has run to its end."""
        space, baseline, choice = space_of(study), baseline_of(study), recorded_choice(study)
        assert space is not None
        assert baseline is not None
        assert choice is not None
        counts = [parameter["count"] for parameter in space["parameters"].values()]
        return cls(
            arrays=len(counts),
            values=sum(counts),
            choice=choice,
            test=accuracies_on_test(study)[choice.trial_number],
            baseline=baseline,
            trials=ended(study),
            seconds=study.user_attrs.get(SECONDS, 0.0),
        )

    @property
    def cells(self) -> list[str]:
        """Its row of the table, without the network."""
        tested = self.baseline.test_accuracy
        return [
            f"{self.arrays}",
            f"{self.values}",
            f"{self.choice.compression:.2f}x",
            f"{self.choice.accuracy:.2%}",
            f"{self.baseline.accuracy:.2%}",
            f"{self.test:.2%}",
            "-" if tested is None else f"{tested:.2%}",
            f"{self.trials}",
            f"{self.seconds:.0f}",
        ]


def main() -> int:
    """Search the networks that are asked for, and print the table.

    Returns:
        The exit code: 1 if a command failed.
    """
    arguments = _parse()
    chosen = [network for network in NETWORKS if not arguments.files or network.file in arguments.files]
    names = max(len(network.title) for network in chosen)
    print(_LINE.format(*_HEADER, names=names), flush=True)
    failures = 0
    for network in chosen:
        try:
            print(_LINE.format(network.title, *searched(network, arguments).cells, names=names), flush=True)
        except RuntimeError as error:
            failures += 1
            print(f"{network.title}: {error}", file=sys.stderr, flush=True)
    return 1 if failures else 0


def searched(network: UserNetwork, arguments: argparse.Namespace) -> Result:
    """Run the study of a network to its end, as far as it has not been.

    Raises:
        RuntimeError: If its command fails.
    """
    trials = network.trials if arguments.trials is None else arguments.trials
    study = _study(network, arguments.storage)
    done = 0 if study is None else ended(study)
    if study is None or done < trials or recorded_choice(study) is None:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            qspinn(_options(network, arguments, max(trials - done, 0), Path(folder)), arguments.threads)
        study = _study(network, arguments.storage)
        assert study is not None
        study.set_user_attr(SECONDS, study.user_attrs.get(SECONDS, 0.0) + time.perf_counter() - begun)
    return Result.of(study)


def qspinn(options: list[str], threads: int) -> None:
    """Run the command ``qspinn`` in a process of its own.

    Args:
        options: Its command line.
        threads: Of torch.

    Raises:
        RuntimeError: If it fails: with what it says.
    """
    command = [sys.executable, "-m", "qspinn_optuna", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": f"{threads}"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise RuntimeError(f"qspinn {' '.join(options)} ended with {process.returncode}:\n{process.stderr}")


def ended(study: optuna.Study) -> int:
    """How many trials have a result, or were refused."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _study(network: UserNetwork, storage: str) -> optuna.Study | None:
    """The study of a network; None if there is none yet."""
    opened = open_storage(storage)
    if network.file not in optuna.get_all_study_names(opened):
        return None
    return optuna.load_study(study_name=network.file, storage=opened)


def _options(network: UserNetwork, arguments: argparse.Namespace, trials: int, folder: Path) -> list[str]:
    options = ["run", str(network.path), "--trials", f"{trials}", "--storage", arguments.storage, *network.options]
    options += ["--cache", str(arguments.cache), "--html", str(folder / "front.html")]
    if arguments.data_dir is not None:
        options += ["--data-dir", str(arguments.data_dir)]
    return options if arguments.images is None else [*options, "--images", f"{arguments.images}"]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    files = [network.file for network in NETWORKS]
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(files)}; all if none is given")
    parser.add_argument(
        "--storage",
        default="sqlite:///user-networks.db",
        metavar="URL",
        help="URL of the database of studies (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("user-networks-cache"),
        help="folder that keeps trained networks (default: %(default)s)",
    )
    parser.add_argument("--trials", type=positive, help="of each study (default: 5, or 20 of the two inputs)")
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files, for its 10,000 test images")
    parser.add_argument("--images", type=positive, help="of each part at most, for a quick look")
    parser.add_argument("--threads", type=positive, default=1, help="of torch (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.files) - set(files))
    if unknown:
        parser.error(f"argument FILE: must be of {', '.join(files)}, got {', '.join(unknown)}.")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
