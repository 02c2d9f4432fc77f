"""Assembles the packages for OptunaHub: their own files, beside this one, and the modules that they take over.

``python studies/optunahub/build.py --output DIR`` makes DIR/package with all of them.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

_PROJECT = Path(__file__).parents[2] / "qspinn_optuna"

PACKAGES = {
    Path("samplers", "known_objective"): (_PROJECT / "sampler" / "known_objective",),
    Path("pruners", "front"): (_PROJECT / "pruning" / "sequential.py",),
    Path("benchmarks", "snn_quantization"): (),
}
"""Each package, and the modules and folders of the project that are copied into it: packages need no project."""


def build(registry: Path) -> list[Path]:
    """Write the packages into a registry, where ``optunahub.load_local_module`` finds them.

    Args:
        registry: The registry's folder of packages; it is created if missing.

    Returns:
        The folders of the packages.

    Raises:
        FileExistsError: If one of them is there already; nothing is written then.
    """
    for package in PACKAGES:
        if (registry / package).exists():
            raise FileExistsError(f"{registry / package} is there already")
    return [_build(registry, package, modules) for package, modules in PACKAGES.items()]


def _build(registry: Path, package: Path, modules: tuple[Path, ...]) -> Path:
    target = registry / package
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(__file__).parent / package, target, ignore=ignore)
    for module in modules:
        if module.is_dir():
            shutil.copytree(module, target / module.name, ignore=ignore)
        else:
            shutil.copyfile(module, target / module.name)
    return target


def main() -> None:
    """Read the arguments, and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder that gets package/")
    output = parser.parse_args().output
    try:
        build(output / "package")
    except OSError as error:
        parser.error(f"--output must be a folder in which the packages can be made, got {output}: {error}.")
    for package in PACKAGES:
        loading = f"optunahub.load_local_module({package.as_posix()!r}, registry_root={str(output / 'package')!r})"
        print(f"{loading} loads {package.name}.")


if __name__ == "__main__":
    main()
