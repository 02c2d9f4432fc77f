"""A FILE.py whose network is a formula, and which writes down what it is asked for."""

from __future__ import annotations

from pathlib import Path

TEXT = """
from pathlib import Path

from qspinn_optuna import Deployment, Family, ParameterSpec

ASKED = Path("asked.txt")


class Formula:
    parameters = (
        ParameterSpec("fc.weight", Family.WEIGHT, 1_000, -0.5, 0.5),
        ParameterSpec("lif.v", Family.MEMBRANE, 10, -1.0, 0.5),
    )
    deployment = Deployment.INFERENCE

    def __init__(self, best):
        self.best = best

    @property
    def baseline(self):
        note("baseline")
        return self.best

    @property
    def test_baseline(self):
        note("test_baseline")
        return self.best - 0.01

    def evaluate(self, config, seed):
        note("evaluate")
        correct = round(1_000 * self._accuracy(config))
        yield correct // 2, 500
        yield correct, 1_000

    def test(self, config, seed):
        note("test")
        return self._accuracy(config) - 0.01

    def describe(self):
        return {"workload": "formula", "best": self.best}

    def _accuracy(self, config):
        return self.best * (0.999 - sum(4.0**-bits for bits in config.bits.values()))


def note(what):
    with ASKED.open("a") as file:
        file.write(what + "\\n")


def add_arguments(parser):
    parser.add_argument("--best", type=float, default=0.95, help="accuracy of the float network")


def workload(arguments):
    return Formula(arguments.best)
"""


def write_file(folder: Path, text: str = TEXT, name: str = "formula.py") -> Path:
    """FILE.py in a folder."""
    path = folder / name
    path.write_text(text)
    return path


def asked(folder: Path) -> list[str]:
    """What the workload was asked for since the last call."""
    path = folder / "asked.txt"
    lines = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines
