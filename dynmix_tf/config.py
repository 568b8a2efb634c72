"""The settings of a training run: one frozen record, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.methods import METHODS, SETTINGS

__all__ = ["SECTIONS", "TrainConfig"]

CONSISTENCY = ("jsd", "jsd_single", "none")
OPERATIONS = ("standard", "imagenet", "augmix", "all")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")
LARGEST = 2**31 - 1
SECTIONS = {
    "Data": (
        "dataset", "data_dir", "num_train", "num_test", "image_size", "skip_damaged", "crop",
    ),
    "Network and method": ("model", "method"),
    "The loss over views, of augmix and dynmix": ("consistency", "consistency_weight"),
    "The views, of augmix and dynmix": ("operations", "severity", "alpha", "num_chains"),
    "Of dynmix alone": ("max_depth", "mixing", "mix_weights", "keep_original"),
    "Of the other methods": (
        "cutmix_probability", "policy", "attack_epsilon", "attack_step_size", "attack_steps",
        "sin_dir",
    ),
    "Optimisation": (
        "epochs", "batch_size", "learning_rate", "schedule", "warmup_epochs", "linear_scaling",
        "momentum", "l2", "label_smoothing", "clip_norm", "ema", "accumulation_steps", "seed",
    ),
    "Devices and arithmetic": ("strategy", "precision", "deterministic", "jit_compile"),
}  # fmt: skip
"""The settings by the headings that they have in `--help`."""


def _setting(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    kind: type | None = None,
) -> Any:
    """A field; a default of None, which needs the `kind`, leaves the value to the method."""
    kind = kind or type(default)
    metadata = {"help": help, "choices": choices, "low": low, "kind": kind}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a training run computes.

    Each field is a flag of `python -m dynmix_tf.train` with the same name, default and help.
    Two runs of equal settings, versions and devices give equal weights.

    Raises:
        InputError: A value out of its range, or two that exclude each other.

    Example:
        >>> TrainConfig(method="dynmix", epochs=5).consistency
        'jsd'
    """

    dataset: str = _setting(
        "fashion_mnist",
        "fashion_mnist, photos, cifar10, cifar100, imagenet2012, the path of a folder of class "
        "folders or of a .npz file, or tfds:<name> of TensorFlow Datasets",
    )
    data_dir: str = _setting(
        "",
        "folder of the data set's files; without it fashion_mnist is looked for in its usual "
        "places, and cifar10, cifar100 and imagenet2012 are those of TensorFlow Datasets",
    )
    image_size: int = _setting(
        0,
        "side of the images, pixels: of photos (0 is 32), and of folders, imagenet2012 and "
        "tfds:<name> (0 is 224; small images of tfds:<name> stay as they are)",
        low=0,
    )
    skip_damaged: bool = _setting(
        False,
        "leave out files of a class folder that are no complete image, and name them; "
        "otherwise they are a mistake",
    )
    crop: str = _setting(
        "auto",
        "what comes before the views, beside a flip: pad is 4 px on each side and a crop of the "
        "image's own size, resized is a part of random size and shape; auto pads up to 64 px",
        ("auto", "pad", "resized"),
    )
    num_train: int = _setting(
        0, "training images to use, the first ones; 0 is the data set's number", low=0
    )
    num_test: int = _setting(
        0, "test images to use, the first ones; 0 is the data set's number", low=0
    )
    model: str = _setting(
        "small_cnn",
        "network: small_cnn, allconvnet, densenet_<depth>_<growth>, densenet_bc_<depth>_<growth>, "
        "resnext29_<groups>x<width>d, wrn_<depth>_<width>, resnet50 or alexnet; the paper's are "
        "allconvnet, densenet_bc_100_12, wrn_40_2, resnext29_4x32d and resnet50",
    )
    method: str = _setting(
        "dynmix",
        "training method; a flag that it does not have is refused",
        tuple(METHODS),
    )
    consistency: str = _setting(
        None,
        "jsd: cross-entropy of the original and lambda times the Jensen-Shannon divergence of its "
        "predictions and those for two views; jsd_single: with one view; none: cross-entropy of "
        "one view alone. Without the flag jsd for augmix and dynmix, none for the others",
        CONSISTENCY,
        kind=str,
    )
    consistency_weight: float = _setting(12.0, "lambda, the weight of the consistency loss", low=0)
    operations: str = _setting(
        None,
        "what the chains are drawn from. standard: the paper's eleven, which dynmix has without "
        "the flag; augmix: these without the two flips, which augmix has without the flag; "
        "imagenet: standard and downscale; all: standard and four that resemble the benchmarks' "
        "corruptions",
        OPERATIONS,
        kind=str,
    )
    severity: float = _setting(
        3.0,
        "strength of these operations, 0 to 10; each application draws one up to it. "
        "AugMix takes 3 for CIFAR and 1 for ImageNet",
        low=0,
    )
    alpha: float = _setting(
        1.0,
        "mixing weight ~ Beta(alpha, alpha), above 0; 1 is uniform. Of mixup and cutmix, too",
        low=0,
    )
    num_chains: int = _setting(
        None,
        "augmented versions in each mix; without the flag 2 of dynmix, 3 of augmix",
        low=1,
        kind=int,
    )
    max_depth: int = _setting(
        2, "operations in the longest chain; depths are drawn from 1 to it", low=1
    )
    mixing: str = _setting(
        "dynamic",
        "dynamic: m1 X1 + m2 X2 + m1 m2 (X1 - X2); linear: without the last term (Table 5)",
        ("dynamic", "linear"),
    )
    mix_weights: str = _setting(
        "complementary",
        "complementary: m2 = 1 - m1; independent: drawn each on its own, which changes the "
        "brightness; normalized: these, divided by their sum (not in the paper)",
        ("complementary", "independent", "normalized"),
    )
    keep_original: bool = _setting(
        False, "mix the original into each view, as augmix does; not in the paper"
    )
    cutmix_probability: float = _setting(
        0.5, "cutmix: probability, 0 to 1, that an image is mixed", low=0
    )
    policy: str = _setting(
        "auto",
        "autoaugment: whose sub-policies, without the operations that overlap with the "
        "corruptions; auto is cifar10* up to 64 px",
        ("auto", "cifar10*", "imagenet*"),
    )
    attack_epsilon: float = _setting(
        8.0, "adversarial: how far a pixel is moved at most, grey levels, 0 to 255", low=0
    )
    attack_step_size: float = _setting(
        2.0, "adversarial: step of the attack, grey levels, 0 to 255", low=0
    )
    attack_steps: int = _setting(10, "adversarial: steps of the attack; each costs a pass", low=0)
    sin_dir: str = _setting("", "sin: folder of Stylized-ImageNet, which it trains on as well")
    epochs: int = _setting(
        100, "passes over the training images, each of images / batch_size steps, rounded up", low=1
    )
    batch_size: int = _setting(128, "images in a step, over all devices", low=1)
    learning_rate: float = _setting(0.1, "highest learning rate, above 0", low=0)
    schedule: str = _setting(
        "cosine",
        "cosine: falls step by step to 1e-6; step: a tenth after every third of the epochs",
        ("cosine", "step"),
    )  # fmt: skip
    warmup_epochs: int = _setting(
        0, "first epochs, in which the learning rate rises linearly", low=0
    )
    linear_scaling: bool = _setting(
        False, "multiply the learning rate by batch_size / 256, as Goyal et al."
    )
    momentum: float = _setting(0.9, "Nesterov momentum, 0 to 1", low=0)
    l2: float = _setting(
        None,
        "weight decay of all weights, coupled as in PyTorch's SGD; without the flag 1e-4 of "
        "mixup, 5e-4 of the others",
        low=0,
        kind=float,
    )
    label_smoothing: float = _setting(
        0.0, "share of each label that is spread over all classes, 0 to 1", low=0
    )
    clip_norm: float = _setting(
        0.0, "largest norm of the gradient over all weights, before weight decay; 0 is none",
        low=0,
    )  # fmt: skip
    ema: float = _setting(
        0.0,
        "momentum of an average of the weights, 0 to 1, such as 0.999: it is exported, and scored "
        "beside the last weights, which go to final_raw.keras; 0 is none",
        low=0,
    )
    accumulation_steps: int = _setting(1, "steps whose mean gradient makes one update", low=1)
    precision: str = _setting(
        "float32",
        "Keras' dtype policy; auto is mixed_bfloat16 on TPUs and GPUs that compute in it, else "
        "float32",
        ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    deterministic: bool = _setting(
        True, "the same command on the same machine gives the same weights to the last bit"
    )
    jit_compile: str = _setting(
        "auto", "XLA for the training step; auto is Keras' choice: on one GPU with "
        "--nodeterministic",
        ("auto", "on", "off"),
    )  # fmt: skip
    seed: int = _setting(
        0, "seed of the first weights, the order of the images and the augmentation", low=0
    )
    strategy: str = _setting(
        "auto",
        "mirrored: all GPUs (or logical CPUs) of this machine; multi_worker: those of all workers "
        "in TF_CONFIG; auto: multi_worker where TF_CONFIG names several, else mirrored where there "
        "are several GPUs",
        STRATEGIES,
    )

    def __post_init__(self) -> None:
        if self.strategy.lower().replace("_", "").startswith("parameterserver"):
            raise InputError(
                f"--strategy={self.strategy}: Keras 3 does not train with parameter servers "
                "(keras issue 18624); use --strategy=multi_worker"
            )
        for setting in dataclasses.fields(self):
            _check(setting, getattr(self, setting.name))
        if not self.severity <= 10:
            raise InputError(f"--severity must be in [0, 10]. Received: {self.severity}")
        if not 0.001 <= self.alpha <= 1000:  # what the draws of Beta can do
            raise InputError(f"--alpha must be in [0.001, 1000]. Received: {self.alpha}")
        if not self.learning_rate > 0:
            raise InputError(f"--learning_rate must be above 0. Received: {self.learning_rate}")
        if not self.momentum <= 1:
            raise InputError(f"--momentum must be in [0, 1]. Received: {self.momentum}")
        for name in ("label_smoothing", "ema"):
            if not getattr(self, name) < 1:
                raise InputError(f"--{name} must be in [0, 1). Received: {getattr(self, name)}")
        if not self.warmup_epochs < self.epochs:
            raise InputError(
                f"--warmup_epochs must be below --epochs={self.epochs}. "
                f"Received: {self.warmup_epochs}"
            )
        if self.jit_compile == "on" and self.deterministic:
            raise InputError(
                "--jit_compile=on is not possible with --deterministic, where Keras compiles "
                "nothing; add --nodeterministic"
            )
        self._settle_method()

    def _settle_method(self) -> None:
        """Fills in the method's own values, and refuses settings that it does not have."""
        method = METHODS[self.method]
        own = {"l2": 5e-4, "consistency": method.consistency[0], **method.own}
        for name, value in own.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.consistency not in method.consistency:
            raise InputError(
                f"--method={self.method} has one view, so no --consistency={self.consistency}; "
                "leave it out, or use --method=dynmix"
            )
        for setting in dataclasses.fields(self):
            value, owners = getattr(self, setting.name), SETTINGS.get(setting.name)
            if owners and self.method not in owners and value != setting.default:
                raise InputError(
                    f"--{setting.name}={value} would do nothing with --method={self.method}; "
                    f"leave it out, or use it with --method={' or '.join(owners)}"
                )
        if self.consistency == "none" and self.consistency_weight != 12.0:
            raise InputError(
                f"--consistency_weight={self.consistency_weight} would do nothing with "
                "--consistency=none; leave it out, or use --consistency=jsd"
            )
        if self.method == "sin" and not self.sin_dir:
            raise InputError(
                "--method=sin needs --sin_dir=FOLDER, Stylized-ImageNet as the code of "
                "github.com/rgeirhos/Stylized-ImageNet writes it (train/<synset>/*.png): run its "
                "create_stylized_imagenet.sh, with 0.5 for `--alpha` in code/general.py, the "
                "paper's coefficient"
            )
        if not self.cutmix_probability <= 1:
            raise InputError(
                f"--cutmix_probability must be in [0, 1]. Received: {self.cutmix_probability}"
            )
        for name in ("attack_epsilon", "attack_step_size"):
            if not getattr(self, name) <= 255:
                raise InputError(f"--{name} must be in [0, 255]. Received: {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(self)

    def difference(self, other: dict[str, Any]) -> str:
        """What differs from settings read from JSON, such as `epochs: 5 there, 10 here`.

        Not `skip_damaged`: what it changes are the images.
        """
        mine = json.loads(json.dumps(self.to_json()))
        return ", ".join(
            f"{name}: {other.get(name)!r} there, {value!r} here"
            for name, value in mine.items()
            if value != other.get(name) and name != "skip_damaged"
        )


def _check(setting: dataclasses.Field, value: Any) -> None:
    choices, low = setting.metadata["choices"], setting.metadata["low"]
    if value is None and setting.default is None:
        return
    if choices and value not in choices:
        raise unknown_name(f"--{setting.name}", str(value), choices)
    if value != value:
        raise InputError(f"--{setting.name} must be a number. Received: {value}")
    if low is not None and not low <= value <= LARGEST:
        raise InputError(f"--{setting.name} must be {low} or more, below 2**31. Received: {value}")
