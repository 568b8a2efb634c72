"""Dynamic Mixup for Keras 3: training image classifiers that withstand corruption.

Everything public is reachable from here and imported when it is first used, so that a command
can check its flags before TensorFlow is loaded.
"""

from __future__ import annotations

import importlib
from typing import Any

from dynmix_tf.version import __version__

_MODULES = (
    "augment", "benchmarks", "callbacks", "corruptions", "data", "layers", "losses", "metrics",
    "models", "ops", "optimizers", "predictors", "reports",
)  # fmt: skip
_NAMES = {
    "AdversarialModel": "adversarial",
    "AugMix": "augment",
    "AutoAugment": "augment",
    "ConsistencyModel": "consistency",
    "CutMix": "augment",
    "DynamicMixup": "augment",
    "GeneratedBenchmark": "benchmarks",
    "JensenShannonConsistency": "losses",
    "MixUp": "augment",
    "RandomAutoAugment": "augment",
    "StandardAugmentation": "augment",
    "Views": "augment",
    "export_saved_model": "export",
    "load_model": "export",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"dynmix_tf.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"dynmix_tf.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'dynmix_tf' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
