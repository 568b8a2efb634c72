"""The training methods: what each shows the network, what learns from it, and its own settings.

Layers and models are imported when they are made: commands look the methods up before that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dynmix_tf as dm

if TYPE_CHECKING:
    from dynmix_tf.config import TrainConfig

__all__ = ["METHODS", "SETTINGS", "Method"]

_SMALL = 64  # px: up to here images are treated as CIFAR's, above as ImageNet's


def _consistency_model(config: TrainConfig, network: Any) -> Any:
    return dm.ConsistencyModel(
        network, config.consistency, config.consistency_weight, config.label_smoothing
    )


def _adversarial_model(config: TrainConfig, network: Any) -> Any:
    return dm.AdversarialModel(
        network,
        config.attack_epsilon,
        config.attack_step_size,
        config.attack_steps,
        seed=config.seed,
        label_smoothing=config.label_smoothing,
    )


@dataclass(frozen=True)
class Method:
    """One method of training.

    Args:
        layer: `layer(config, image_shape, num_classes)` makes what the views are made with, after
            the crop and flip that all methods share; None where the images are shown as they are.
        settings: The settings, beside those that all methods have, which mean something to it.
        own: Its values of settings that are left open.
        consistency: The modes of the loss that it has, its own first.
        model: `model(config, network)` makes what learns.
    """

    layer: Callable[[TrainConfig, tuple[int, int, int], int], Any] | None = None
    settings: tuple[str, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    consistency: tuple[str, ...] = ("none",)
    model: Callable[[TrainConfig, Any], Any] = _consistency_model


def _policy(config: TrainConfig, image_shape: tuple[int, int, int]) -> str:
    if config.policy != "auto":
        return config.policy
    return "cifar10*" if max(image_shape) <= _SMALL else "imagenet*"


_OF_VIEWS = ("consistency_weight", "operations", "severity", "alpha", "num_chains")
_MODES = ("jsd", "jsd_single", "none")

METHODS: dict[str, Method] = {
    "standard": Method(),
    "mixup": Method(
        lambda config, shape, classes: dm.MixUp(config.alpha, num_classes=classes),
        settings=("alpha",),
        own={"l2": 1e-4},
    ),
    "cutmix": Method(
        lambda config, shape, classes: dm.CutMix(
            config.alpha, config.cutmix_probability, num_classes=classes
        ),
        settings=("alpha", "cutmix_probability"),
    ),
    "autoaugment": Method(
        lambda config, shape, classes: dm.AutoAugment(_policy(config, shape)),
        settings=("policy",),
    ),
    "random_autoaugment": Method(lambda config, shape, classes: dm.RandomAutoAugment()),
    "adversarial": Method(
        settings=("attack_epsilon", "attack_step_size", "attack_steps"), model=_adversarial_model
    ),
    "sin": Method(settings=("sin_dir",)),
    "augmix": Method(
        lambda config, shape, classes: dm.AugMix(
            config.operations, config.severity, width=config.num_chains, alpha=config.alpha
        ),
        settings=_OF_VIEWS,
        own={"operations": "augmix", "num_chains": 3},
        consistency=_MODES,
    ),
    "dynmix": Method(
        lambda config, shape, classes: dm.DynamicMixup(
            config.operations,
            config.severity,
            config.alpha,
            config.num_chains,
            config.max_depth,
            config.mixing,
            config.mix_weights,
            config.keep_original,
        ),
        settings=(*_OF_VIEWS, "max_depth", "mixing", "mix_weights", "keep_original"),
        own={"operations": "standard", "num_chains": 2},
        consistency=_MODES,
    ),
}
"""Every method by the name that `--method` takes. Sources: Dynamic Mixup, section 4; the weight
decay of Mixup is that of section 4.1. The paper gives no settings of the methods that it compares
with: Mixup's alpha, CutMix' probability and the attack are those of the methods' own code for
CIFAR (facebookresearch/mixup-cifar10, clovaai/CutMix-PyTorch, MadryLab/cifar10_challenge)."""

SETTINGS: dict[str, tuple[str, ...]] = {
    setting: tuple(name for name, method in METHODS.items() if setting in method.settings)
    for method in METHODS.values()
    for setting in method.settings
}
"""The settings that not all methods have, and the methods that have them."""
