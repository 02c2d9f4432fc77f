"""The commands that the pages print can be given."""

from __future__ import annotations

import importlib
import re
import shlex
import sys

import pytest

from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.cli.parser import make_parser, make_run_parser, parse_run, split_run
from tests.documentation.pages import PAGES, ROOT, Page

IN_A_LINE = re.compile(r"`((?:qspinn|python|make) [^`]+)`")


def lines_of(page: Page) -> list[str]:
    """What stands in blocks, a line each, and in sentences, which may be broken."""
    in_blocks = [line for block in page.blocks("bash") for line in block.text.replace("&&\n    ", "&& ").splitlines()]
    return in_blocks + [text.replace("\n", " ") for text in IN_A_LINE.findall(page.prose)]


COMMANDS = sorted(
    {line.partition(" #")[0].replace(".venv/bin/", "").strip() for page in PAGES for line in lines_of(page)}
)
OF_QSPINN = [command for command in COMMANDS if command.startswith("qspinn ") and len(command.split()) > 2]
OF_SCRIPTS = [command for command in COMMANDS if command.startswith("python studies/")]
OF_MAKE = [command.split()[3:] for command in COMMANDS if command.startswith("make -C")]


def filled(command: str) -> list[str]:
    """The words of a command, with something for what a user has to fill in."""
    return shlex.split(command.replace(" DIR", " folder"))[1:]


def test_there_are_commands() -> None:
    assert len(OF_QSPINN) > 10
    assert len(OF_SCRIPTS) > 20
    assert len(OF_MAKE) >= 2


@pytest.mark.parametrize("command", OF_QSPINN)
def test_a_command_is_parsed(command: str) -> None:
    given = filled(command)
    of_run = split_run(given)
    if of_run is None:
        make_parser().parse_args(given)
        return
    file, options = of_run
    parse_run(make_run_parser(file, ""), options)
    assert file in {"FILE.py", "my_network.py"} or (ROOT / file).exists()


@pytest.mark.parametrize("command", OF_SCRIPTS)
def test_a_script_has_the_options_that_are_printed(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, *words = filled(command)
    path = ROOT / script
    assert path.exists()
    options = {word for word in words if word.startswith("--")}
    if options and path.parent.name == "benchmarks":
        monkeypatch.setattr(sys, "argv", [path.name, "--help"])
        with pytest.raises(SystemExit):
            importlib.import_module(path.stem).main()
        assert options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    elif options and path.parent.name == "studies":
        with loaded(path) as file:
            parser = make_run_parser(path.name, file.description)
            file.add_arguments(parser)
            parse_run(parser, words)


def test_targets_of_make_are_those_of_an_export() -> None:
    makefile = (ROOT / "qspinn_optuna/export/c99/Makefile").read_text()
    given = {word for words in OF_MAKE for word in words if "=" not in word}
    assert given <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
