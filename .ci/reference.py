"""Build the API reference from the docstrings, in build/reference: a page for each module that users import.

Warnings are errors, and so are references to what has no page and is no name of Python.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pdoc
from jinja2 import pass_context
from jinja2.runtime import Context
from pdoc.render_helpers import to_markdown

ROOT = Path(__file__).parents[1]

# What is documented is the package beside this file, also where a copy of it is installed.
sys.path.insert(0, str(ROOT))

PACKAGES = (
    "qspinn_optuna",
    "qspinn_optuna.fixed_point",
    "qspinn_optuna.parameters",
    "qspinn_optuna.config",
    "qspinn_optuna.targets",
    "qspinn_optuna.datasets",
    "qspinn_optuna.integer",
    "qspinn_optuna.export",
    "qspinn_optuna.networks",
    "qspinn_optuna.space",
    "qspinn_optuna.workloads",
    "qspinn_optuna.workloads.stdp",
    "qspinn_optuna.workloads.supervised",
    "qspinn_optuna.study",
    "qspinn_optuna.sampler",
    "qspinn_optuna.pruning",
    "qspinn_optuna.front",
    "qspinn_optuna.objective",
    "qspinn_optuna.opening",
    "qspinn_optuna.workers",
    "qspinn_optuna.selection",
    "qspinn_optuna.significance",
    "qspinn_optuna.visualization",
    "qspinn_optuna.dashboard",
    "qspinn_optuna.cli",
)
"""Modules with a page."""

WITHOUT = r"!qspinn_optuna\.(dashboard|export|integer|networks|study|workloads\.supervised)\..+"
"""Modules that pdoc takes for public, since a public function is called the same."""

TEMPLATES = ROOT / ".ci" / "reference"
"""What differs from pdoc's own pages."""

REFERENCE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([\w.]+)`")


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "reference", help="folder, replaced")
    output = parser.parse_args().output
    for name in PACKAGES:
        public_names(name)  # Loaded: pdoc sees only what is.
    warnings.filterwarnings("error", module=r"pdoc\..*")
    # The constructor of a NamedTuple does not know where its annotations come from.
    warnings.filterwarnings("ignore", message="Error parsing type annotation ForwardRef.*NeuronConstants")
    shutil.rmtree(output, ignore_errors=True)
    pdoc.render.configure(docformat="google", show_source=False, template_directory=TEMPLATES)
    pdoc.render.env.filters["to_markdown"] = markdown
    pdoc.pdoc(*PACKAGES, WITHOUT, output_directory=output)
    print(output / "index.html")


@cache
def public_names(package: str) -> dict[str, Any]:
    """What a module offers: the names of its ``__all__``, or what it defines."""
    module = importlib.import_module(package)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == package]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    # Set, since some are imported when they are asked for.
    values = {name: getattr(module, name) for name in names}
    vars(module).update(values)
    return values


@pass_context
def markdown(context: Context, docstring: str) -> str:
    """A docstring as Markdown, with references that pdoc finds, and blocks of code without a double colon."""
    module: pdoc.doc.Module = context["module"]
    told = REFERENCE.sub(lambda found: f"`{place_of(found[1], module.modulename)}`", docstring)
    told = re.sub(r"::$", ":", told, flags=re.MULTILINE)
    return to_markdown(told, module, context["docformat"])


def place_of(reference: str, package: str) -> str:
    """Where pdoc finds what a docstring refers to: in the module itself, or by the whole path of a public name.

    Raises:
        LookupError: If there is no such name, in modules of the package either.
    """
    parts = reference.strip(".").split(".")
    if reference in PACKAGES or parts[0] in public_names(package):
        return reference
    for number, part in enumerate(parts):
        for owner in (package, *PACKAGES):
            if part in public_names(owner):
                inner = ".".join(parts[number:])
                return inner if owner == package else f"{owner}.{inner}"
    return known(reference, parts)


def known(reference: str, parts: list[str]) -> str:
    """The short name of what has no page: a member of what is documented here, or a name inside, or of others.

    Raises:
        LookupError: If nothing is called so.
    """
    inner = {path.stem for path in (ROOT / "qspinn_optuna").rglob("*") if path.suffix in {".py", ""}}
    if parts[-1] in inner or not reference.startswith((".", "qspinn_optuna")):
        return parts[-1] if reference.startswith((".", "qspinn_optuna")) else reference
    source = "\n".join(path.read_text() for path in sorted((ROOT / "qspinn_optuna").rglob("*.py")))
    if re.search(rf"\b(def|class) {parts[-1]}\b|^{parts[-1]} *[:=]", source, re.MULTILINE):
        return parts[-1]
    raise LookupError(f"a docstring refers to {reference}, which there is not")


if __name__ == "__main__":
    main()
