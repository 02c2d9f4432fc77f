"""What a selector chose, and why."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import Candidate


@dataclass(frozen=True, repr=False)
class Choice:
    """The candidate that a selector chose.

    Example:
        >>> choice.save(folder / "choice.json")
        >>> Choice.load(folder / "choice.json").config == choice.config
        True

    Args:
        candidate: The candidate.
        reward: Its score by the rule; each selector documents its own.
        rule: The rule in words, such as "most accurate within 8 KiB".
        rivals: Candidates that might have been chosen as well: the difference that decided against them is within the
            standard error of the evaluation, see :func:`~.ranking.difference_error`. Each selector documents that
            difference. Candidates with an unknown number of samples are never rivals.
    """

    candidate: Candidate
    reward: float
    rule: str = ""
    rivals: tuple[Candidate, ...] = ()

    def __repr__(self) -> str:
        return f"Choice({self.candidate.summary}{f'; {self.rule}' if self.rule else ''})"

    @property
    def config(self) -> QuantizationConfig:
        """Quantization of the candidate."""
        return self.candidate.config

    @property
    def memory_kib(self) -> float:
        """Memory of the candidate, in KiB."""
        return self.candidate.memory_kib

    @property
    def compression(self) -> float:
        """How many times smaller the model is than the 32-bit original."""
        return self.candidate.compression

    @property
    def accuracy(self) -> float:
        """Accuracy of the candidate, a fraction."""
        return self.candidate.accuracy

    @property
    def trial_number(self) -> int:
        """Number of the candidate's trial."""
        return self.candidate.trial_number

    def to_dict(self) -> dict[str, Any]:
        """The choice as plain values for JSON; :meth:`from_dict` reads them back.

        ``config`` is the whole configuration, with its formats, as :meth:`QuantizationConfig.from_dict` reads it.
        ``rivals`` holds trial numbers, and ``rival_candidates`` the same candidates in full.
        """
        return {
            **_candidate_to_dict(self.candidate),
            "reward": self.reward,
            "rule": self.rule,
            "rivals": [rival.trial_number for rival in self.rivals],
            "rival_candidates": [_candidate_to_dict(rival) for rival in self.rivals],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Choice:
        """The choice that :meth:`to_dict` wrote; other entries are ignored.

        Raises:
            ValueError: If ``data`` is not such a dict, or contradicts itself.
        """
        try:
            data = {**_unsplit(data), "rival_candidates": [_unsplit(entry) for entry in data["rival_candidates"]]}
            rivals = tuple(_candidate_from_dict(entry) for entry in data["rival_candidates"])
            choice = cls(_candidate_from_dict(data), float(data["reward"]), str(data["rule"]), rivals)
        except KeyError as error:
            raise ValueError(f"data must be what Choice.to_dict returns, got a dict without {error}.") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"data must be what Choice.to_dict returns: {error}") from error
        # ``data`` holds the configuration twice, in full and as a user reads it. This finds an edit of only one.
        for name, value in choice.to_dict().items():
            if data.get(name) != value:
                raise ValueError(
                    f"data must be what Choice.to_dict returns: {name!r} must be {value!r} by the other entries, "
                    f"got {data.get(name)!r}."
                )
        return choice

    def save(self, path: str | Path) -> None:
        """Write the choice as a JSON file, atomically; :meth:`load` reads it back.

        Raises:
            OSError: If the file cannot be written.
            ValueError: If the choice has a number that JSON cannot hold, such as NaN.
        """
        path = Path(path)
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        partial = path.with_name(f"{path.name}.partial")
        try:
            partial.write_text(f"{text}\n", encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> Choice:
        """The choice that :meth:`save` wrote.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If the file is not one of :meth:`save`, or is damaged.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except ValueError as error:  # The errors of the JSON and Unicode decoders are ValueErrors, too.
            raise ValueError(f"path must be a file that Choice.save wrote, got {str(path)!r}: {error}") from error


def _candidate_to_dict(candidate: Candidate) -> dict[str, Any]:
    return {
        **candidate.to_dict(),
        "flash_kib": candidate.flash_kib,
        "ram_kib": candidate.ram_kib,
        "samples": candidate.samples,
        "config": candidate.config.to_dict(),
    }


def _unsplit(data: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a candidate; one of a time when flash and RAM were not told apart does not know them."""
    return {"flash_kib": None, "ram_kib": None, **data}


def _candidate_from_dict(data: Mapping[str, Any]) -> Candidate:
    return Candidate(
        operator.index(data["trial"]),
        QuantizationConfig.from_dict(data["config"]),
        float(data["memory_kib"]),
        float(data["compression"]),
        float(data["accuracy"]),
        None if data["samples"] is None else operator.index(data["samples"]),
        *(None if data[name] is None else float(data[name]) for name in ("flash_kib", "ram_kib")),
    )
