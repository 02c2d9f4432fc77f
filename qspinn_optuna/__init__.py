"""Search the fixed-point quantization of spiking neural networks with Optuna: memory against accuracy.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qspinn_optuna import import_guard

if TYPE_CHECKING:
    from qspinn_optuna.config import InexactError as InexactError
    from qspinn_optuna.config import QuantizationConfig as QuantizationConfig
    from qspinn_optuna.config import Scheme as Scheme
    from qspinn_optuna.export import Export as Export
    from qspinn_optuna.export import export_c as export_c
    from qspinn_optuna.fixed_point import GridKind as GridKind
    from qspinn_optuna.fixed_point import ParameterQuantization as ParameterQuantization
    from qspinn_optuna.fixed_point import QFormat as QFormat
    from qspinn_optuna.fixed_point import Rounding as Rounding
    from qspinn_optuna.fixed_point import decode as decode
    from qspinn_optuna.fixed_point import encode as encode
    from qspinn_optuna.fixed_point import quantize as quantize
    from qspinn_optuna.front import Candidate as Candidate
    from qspinn_optuna.front import ParetoFront as ParetoFront
    from qspinn_optuna.integer import IntegerModel as IntegerModel
    from qspinn_optuna.networks import CaptureError as CaptureError
    from qspinn_optuna.networks import calibrate as calibrate
    from qspinn_optuna.networks import capture as capture
    from qspinn_optuna.networks import check_exact as check_exact
    from qspinn_optuna.networks import check_fidelity as check_fidelity
    from qspinn_optuna.networks import exact_sums as exact_sums
    from qspinn_optuna.networks import find_parameters as find_parameters
    from qspinn_optuna.networks import fold_batch_norm as fold_batch_norm
    from qspinn_optuna.networks import freeze_network as freeze_network
    from qspinn_optuna.networks import input_codes as input_codes
    from qspinn_optuna.networks import quantize_network as quantize_network
    from qspinn_optuna.networks import sample_numbers as sample_numbers
    from qspinn_optuna.objective import QuantizationObjective as QuantizationObjective
    from qspinn_optuna.opening import open_study as open_study
    from qspinn_optuna.parameters import Deployment as Deployment
    from qspinn_optuna.parameters import Family as Family
    from qspinn_optuna.parameters import Footprint as Footprint
    from qspinn_optuna.parameters import Memory as Memory
    from qspinn_optuna.parameters import ParameterSpec as ParameterSpec
    from qspinn_optuna.pruning import FrontPruner as FrontPruner
    from qspinn_optuna.sampler import MemoryAwareSampler as MemoryAwareSampler
    from qspinn_optuna.selection import Choice as Choice
    from qspinn_optuna.selection import SmallestSelector as SmallestSelector
    from qspinn_optuna.selection import TradeOffSelector as TradeOffSelector
    from qspinn_optuna.space import QuantizationSpace as QuantizationSpace
    from qspinn_optuna.targets import TARGETS as TARGETS
    from qspinn_optuna.targets import Fit as Fit
    from qspinn_optuna.targets import Target as Target
    from qspinn_optuna.targets import target_named as target_named
    from qspinn_optuna.workers import run_on_dask as run_on_dask
    from qspinn_optuna.workers import run_workers as run_workers
    from qspinn_optuna.workloads import TrainingProgress as TrainingProgress
    from qspinn_optuna.workloads import Workload as Workload
    from qspinn_optuna.workloads.stdp import STDPWorkload as STDPWorkload
    from qspinn_optuna.workloads.supervised import SupervisedWorkload as SupervisedWorkload
    from qspinn_optuna.workloads.supervised import fit as fit

import_guard.install()  # So that SpikingJelly's models and data sets can be imported beside any build of torch.

__version__ = "0.1.0"

_NAMES = {
    "config": ("InexactError", "QuantizationConfig", "Scheme"),
    "export": ("Export", "export_c"),
    "fixed_point": ("GridKind", "ParameterQuantization", "QFormat", "Rounding", "decode", "encode", "quantize"),
    "front": ("Candidate", "ParetoFront"),
    "integer": ("IntegerModel",),
    "networks": (
        "CaptureError",
        "calibrate",
        "capture",
        "check_exact",
        "check_fidelity",
        "exact_sums",
        "find_parameters",
        "fold_batch_norm",
        "freeze_network",
        "input_codes",
        "quantize_network",
        "sample_numbers",
    ),
    "objective": ("QuantizationObjective",),
    "opening": ("open_study",),
    "parameters": ("Deployment", "Family", "Footprint", "Memory", "ParameterSpec"),
    "pruning": ("FrontPruner",),
    "sampler": ("MemoryAwareSampler",),
    "selection": ("Choice", "SmallestSelector", "TradeOffSelector"),
    "space": ("QuantizationSpace",),
    "targets": ("TARGETS", "Fit", "Target", "target_named"),
    "workers": ("run_on_dask", "run_workers"),
    "workloads": ("TrainingProgress", "Workload"),
    "workloads.stdp": ("STDPWorkload",),
    "workloads.supervised": ("SupervisedWorkload", "fit"),
}
"""Public names by their module. It is imported when a name is first asked for: torch and SpikingJelly take seconds."""

_MODULES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    import importlib  # noqa: PLC0415

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value  # Found without this function from then on.
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
