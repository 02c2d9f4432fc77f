"""The floors of the house: what may import what, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "qspinn_optuna"

FLOORS = (
    ("vocabulary", "display", "import_guard", "partial_files", "tables", "terminal", "termination", "threads"),
    ("fixed_point",),
    ("config", "parameters", "targets", "datasets"),
    ("integer",),
    ("export",),
    ("space", "networks"),
    ("workloads",),
    ("study",),
    ("sampler", "pruning", "front"),
    ("objective", "opening", "workers", "significance", "selection"),
    ("dashboard", "visualization"),
    ("cli",),
    ("", "__main__"),  # The package itself, which imports its names when they are asked for.
)
"""From the ground up: a room imports from its own floor and from those below."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

PROTOCOLS = {"workloads.protocol"}
"""Modules that may name, for type checkers alone, what is above them."""

WITHOUT_OPTUNA = {
    "vocabulary",
    "display",
    "partial_files",
    "tables",
    "terminal",
    "fixed_point",
    "config",
    "parameters",
    "targets",
    "datasets",
    "integer",
    "export",
    "networks",
}
WITHOUT_TORCH = {"integer", "export"}

LARGEST_CLASS = 250
"""Lines."""


@dataclass(frozen=True)
class Module:
    """A module of the package.

    Args:
        name: Without the package's name: "selection.choice"; "selection" is that package's ``__init__``.
        package: What relative imports start from, as a name of the same kind.
        tree: Its source.
    """

    name: str
    package: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def module_at(path: Path) -> Module:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    name = parts[:-1] if parts[-1] == "__init__" else parts
    return Module(".".join(name), ".".join(parts[:-1]), ast.parse(path.read_text()))


MODULES = {module.name: module for module in map(module_at, sources(ROOT / PACKAGE))}


def imports(module: Module) -> Iterator[tuple[str, bool]]:
    """Every imported name, dotted, and whether type checkers alone import it; functions are looked into."""
    pending: list[tuple[ast.AST, bool]] = [(module.tree, False)]
    while pending:
        node, checked = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, checked) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{origin(node, module)}.{alias.name}", checked) for alias in node.names)
        checked = checked or _is_type_checking(node)
        pending += [(child, checked) for child in ast.iter_child_nodes(node)]


def origin(node: ast.ImportFrom, module: Module) -> str:
    """Where names are imported from, by its full name."""
    if node.level == 0:
        return node.module or ""
    package = [PACKAGE, *filter(None, module.package.split("."))]
    return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def inner_imports(module: Module) -> Iterator[tuple[str, bool]]:
    """The modules of the package that a module imports."""
    for name, checked in imports(module):
        package, _, inner = name.partition(".")
        if package == PACKAGE:
            # The last part is a module, or a name in one.
            yield inner if inner in MODULES else inner.rpartition(".")[0], checked


def outer_imports(module: Module) -> set[str]:
    return {name.partition(".")[0] for name, _ in imports(module)} - {PACKAGE}


def strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_room_has_a_floor() -> None:
    assert {module.room for module in MODULES.values()} <= FLOOR.keys()


def test_no_room_imports_from_above() -> None:
    upward = {
        (module.name, other)
        for module in MODULES.values()
        for other, checked in inner_imports(module)
        if FLOOR[other.partition(".")[0]] > FLOOR[module.room] and not (checked and module.name in PROTOCOLS)
    }
    assert upward == set()


def test_nothing_inside_imports_the_package_itself() -> None:
    """Its names are for users; inside, they would hide what depends on what."""
    assert {m.name for m in MODULES.values() if any(other == "" for other, _ in inner_imports(m))} == set()


def test_no_circle() -> None:
    graph = {
        module.name: {other for other, checked in inner_imports(module) if not checked} for module in MODULES.values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def test_the_folders_of_networks_form_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES.values():
        if module.room == "networks" and module.name != "networks":
            inner = {other for other, checked in inner_imports(module) if other.startswith("networks.") and not checked}
            folder = module.name.split(".")[1]
            graph.setdefault(folder, set()).update({other.split(".")[1] for other in inner} - {folder})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of folders: {error.args[1]}")


def test_optuna_begins_with_the_space() -> None:
    assert {m.name for m in MODULES.values() if m.room in WITHOUT_OPTUNA and "optuna" in outer_imports(m)} == set()


def test_what_goes_to_devices_needs_no_torch() -> None:
    torch = {"torch", "spikingjelly"}
    assert {m.name for m in MODULES.values() if m.room in WITHOUT_TORCH and torch & outer_imports(m)} == set()


def test_no_class_is_too_large() -> None:
    large = {
        f"{module.name}.{node.name}"
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > LARGEST_CLASS
    }
    assert large == set()


def test_nobody_changes_the_path() -> None:
    changing = {
        str(path.relative_to(ROOT))
        for folder in (PACKAGE, "studies", "tests", "notebooks")
        for path in sources(ROOT / folder)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    }
    assert changing == set()


def test_attributes_of_studies_and_trials_are_read_and_written_in_one_place() -> None:
    names = {"user_attrs", "set_user_attr", "_user_attrs"}
    users = {
        module.name
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in names and module.room != "study"
    }
    assert users == set()


def test_names_of_widths_are_made_and_read_in_one_place() -> None:
    using = {
        module.name for module in MODULES.values() if any(text.startswith("bits.") for text in strings(module.tree))
    }
    assert using == {"space"}
