"""The file that a study was run from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna

from qspinn_optuna.study.attributes import StudyAttribute, read, write
from qspinn_optuna.study.storage.secrets import without_password


@dataclass(frozen=True)
class Source:
    """A file with a function that creates the workload of a study.

    Args:
        file: Its absolute path.
        options: The other arguments of the command that ran it.
    """

    file: str
    options: tuple[str, ...] = ()


def source_of(study: optuna.Study) -> Source | None:
    """The file that a study was run from; None if it stores none."""
    kept = read(study, StudyAttribute.SOURCE)
    return None if kept is None else Source(str(kept["file"]), tuple(kept["options"]))


def record_source(study: optuna.Study, file: str, options: Sequence[str] = ()) -> None:
    """Store in a study the file that it was run from, in place of an earlier one; passwords are left out."""
    source = Source(file, tuple(map(without_password, options)))
    if source_of(study) != source:
        write(study, StudyAttribute.SOURCE, {"file": source.file, "options": list(source.options)})
