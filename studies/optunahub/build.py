"""Assembles the package for OptunaHub: its own files, beside this one, and the sampler's modules.

``python studies/optunahub/build.py --output DIR`` makes DIR/package/samplers/known_objective.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

PACKAGE = Path("samplers", "known_objective")
MODULES = Path(__file__).parents[2] / "qspinn_optuna" / "sampler" / "known_objective"


def build(registry: Path) -> Path:
    """Write the package into a registry, where ``optunahub.load_local_module`` finds it.

    Args:
        registry: The registry's folder of packages; it is created if missing.

    Returns:
        The folder of the package.

    Raises:
        FileExistsError: If the package is there already.
    """
    target = registry / PACKAGE
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(__file__).parent / PACKAGE, target, ignore=ignore)
    shutil.copytree(MODULES, target / MODULES.name, ignore=ignore)
    return target


def main() -> None:
    """Read the arguments, and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder that gets package/samplers/known_objective")
    output = parser.parse_args().output
    try:
        target = build(output / "package")
    except OSError as error:
        parser.error(f"--output must be a folder in which the package can be made, got {output}: {error}.")
    print(f"{target} is complete.")
    print(f"optunahub.load_local_module({PACKAGE.as_posix()!r}, registry_root={str(output / 'package')!r}) loads it.")


if __name__ == "__main__":
    main()
