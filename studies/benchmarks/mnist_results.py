"""The table of results on MNIST: the MNIST study with several seeds, and means over them.

For each kind of result and each seed, `studies/mnist_stdp.py` runs in a process of its own and leaves its study,
figure and report in the output folder; run again, finished ones are not repeated. Models are chosen on the 10,000
held-out training images, test figures are of the 10,000 test images. With mu = 1, a hundredth of the original memory is
worth a point of accuracy; with mu = 0.1, a tenth of a point.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from searching.markdown import markdown_header, markdown_row

STUDY = Path(__file__).parents[1] / "mnist_stdp.py"
KINDS: dict[str, tuple[int, list[str]]] = {
    "inference": (60, ["--mu", "1"]),
    "few inputs": (24, ["--mu", "1", "--minimum-input-spikes", "2"]),
    "on-device learning": (8, ["--mu", "0.1", "--on-device-learning", "--minimum-input-spikes", "0.5"]),
}
"""Trials and arguments of each kind; those of a device that learns are all trainings, hence fewer."""


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--output", type=Path, default=Path("mnist-results"), help="folder of studies and reports")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind in arguments.kinds:
        reports = [run(arguments, kind, seed) for seed in arguments.seeds]
        schemes = sorted({scheme for report in reports for scheme in report["choice_by_scheme"]}, reverse=True)
        rows += [row(kind, scheme, reports) for scheme in schemes]
    columns = ["kind", "scheme", "smaller", "held-out images (change)", "test images (change)", "worst change"]
    print(markdown_header(columns))
    print("\n".join(rows))


def run(arguments: argparse.Namespace, kind: str, seed: int) -> dict[str, Any]:
    """The report of one study."""
    name = f"{kind.replace(' ', '-')}-{seed}"
    path = arguments.output / f"{name}.json"
    trials, flags = KINDS[kind]
    if not path.exists():
        command = [sys.executable, str(STUDY), "--data-dir", str(arguments.data_dir), "--seed", str(seed)]
        # The sampler with which the table of results was made.
        command += ["--trials", str(trials), "--sampler", "tpe", "--study", name, "--json", str(path), *flags]
        command += ["--storage", f"sqlite:///{arguments.output / name}.db", "--html", f"{arguments.output / name}.html"]
        subprocess.run(command, check=True)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def row(kind: str, scheme: str, reports: list[dict[str, Any]]) -> str:
    """A line of the table: means over the studies, and the worst change on the test set."""
    pairs = [(report, report["choice_by_scheme"][scheme]) for report in reports if scheme in report["choice_by_scheme"]]
    held_out = [100 * choice["accuracy"] for _, choice in pairs]
    held_out_changes = [100 * (choice["accuracy"] - report["baseline_accuracy"]) for report, choice in pairs]
    tests = [100 * choice["test_accuracy"] for _, choice in pairs]
    test_changes = [100 * (choice["test_accuracy"] - report["baseline_test_accuracy"]) for report, choice in pairs]
    compressions = [choice["compression"] for _, choice in pairs]
    mean = statistics.mean
    return markdown_row(
        [
            kind,
            scheme,
            f"{mean(compressions):.1f}x ({min(compressions):.1f}-{max(compressions):.1f})",
            f"{mean(held_out):.2f} % ({mean(held_out_changes):+.2f})",
            f"{mean(tests):.2f} % ({mean(test_changes):+.2f})",
            f"{min(test_changes):+.2f}",
        ]
    )


if __name__ == "__main__":
    main()
