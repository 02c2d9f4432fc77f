"""The README's Python examples run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
FOUND = re.findall(r"(<!-- goes on -->\n)?```python\n(.*?)```", README, flags=re.DOTALL)
STUDY = next(example for _, example in FOUND if "ParetoFront.from_study" in example)
EXAMPLES = [STUDY + example if goes_on else example for goes_on, example in FOUND]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
