"""The settings of a training run: one frozen record, checked before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.methods import METHODS, SETTINGS

__all__ = ["TrainConfig"]

CONSISTENCY = ("jsd", "jsd_single", "none")
OPERATIONS = ("standard", "imagenet", "augmix", "all")
STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")
LARGEST = 2**31 - 1


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
        "data set: fashion_mnist, photos, cifar10, cifar100, imagenet2012, a folder of class "
        "folders, a .npz file, or tfds:<name> of TensorFlow Datasets",
    )
    data_dir: str = _setting("", "folder of the data set's files; empty looks in the usual places")
    image_size: int = _setting(
        0, "side of the images of photos (0 is 32), folders, imagenet2012 (0 is 224)", low=0
    )
    skip_damaged: bool = _setting(
        False, "leave out files of a class folder that are no complete image, and name them"
    )
    crop: str = _setting(
        "auto",
        "what comes before the views: padded by 4 px and cropped, or a part of random size "
        "resized; auto pads up to 64 px",
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
        "resnext29_<groups>x<width>d, wrn_<depth>_<width>, resnet50 or alexnet",
    )
    method: str = _setting("dynmix", "training method", tuple(METHODS))
    consistency: str = _setting(
        None,
        "loss over the views of augmix and dynmix, whose own is jsd; none trains on one view",
        CONSISTENCY,
        kind=str,
    )
    consistency_weight: float = _setting(12.0, "lambda, the weight of the consistency loss", low=0)
    operations: str = _setting(
        None,
        "operations of augmix (its own: augmix) and dynmix (its own: standard); imagenet adds "
        "downscale; some of `all` resemble the benchmarks' corruptions",
        OPERATIONS,
        kind=str,
    )
    severity: float = _setting(3.0, "strength of these operations, 0 to 10", low=0)
    alpha: float = _setting(
        1.0, "mixing weight ~ Beta(alpha, alpha), of mixup, cutmix, augmix and dynmix", low=0
    )
    num_chains: int = _setting(
        None, "augmented versions in each mix: 2 of dynmix, 3 of augmix", low=1, kind=int
    )
    max_depth: int = _setting(2, "operations in dynmix' longest chain", low=1)
    mixing: str = _setting("dynamic", "mixing rule of dynmix", ("dynamic", "linear"))
    mix_weights: str = _setting(
        "complementary",
        "whether the mixing weights of dynmix sum to 1",
        ("complementary", "independent", "normalized"),
    )
    keep_original: bool = _setting(
        False, "mix the original into each view, as augmix does; not in the paper"
    )
    cutmix_probability: float = _setting(0.5, "of cutmix to mix an image", low=0)
    policy: str = _setting(
        "auto",
        "sub-policies of autoaugment, without what overlaps with the corruptions; auto is that "
        "of CIFAR up to 64 px",
        ("auto", "cifar10*", "imagenet*"),
    )
    attack_epsilon: float = _setting(
        8.0, "how far adversarial moves a pixel at most, grey levels", low=0
    )
    attack_step_size: float = _setting(2.0, "step of the attack, grey levels", low=0)
    attack_steps: int = _setting(10, "steps of the attack", low=0)
    sin_dir: str = _setting("", "folder of Stylized-ImageNet, which sin trains on as well")
    epochs: int = _setting(100, "passes over the training images", low=1)
    batch_size: int = _setting(128, "images in a step, over all devices", low=1)
    learning_rate: float = _setting(0.1, "highest learning rate", low=0)
    schedule: str = _setting(
        "cosine", "learning rate: per step to 1e-6, or a tenth after every third of the epochs",
        ("cosine", "step"),
    )  # fmt: skip
    warmup_epochs: int = _setting(0, "epochs in which the learning rate rises linearly", low=0)
    linear_scaling: bool = _setting(
        False, "take --learning_rate for 256 images, and scale it by --batch_size"
    )
    momentum: float = _setting(0.9, "Nesterov momentum", low=0)
    l2: float = _setting(
        None,
        "weight decay, coupled as in PyTorch: 1e-4 of mixup, 5e-4 of others",
        low=0,
        kind=float,
    )
    label_smoothing: float = _setting(0.0, "share of each label given to all classes", low=0)
    clip_norm: float = _setting(
        0.0, "largest norm of the loss' gradient over all weights, before L2 is added; 0 is none",
        low=0,
    )  # fmt: skip
    ema: float = _setting(
        0.0,
        "momentum of an average of the weights, which is what is exported, and measured beside the "
        "last ones, final_raw.keras; 0 is none",
        low=0,
    )
    accumulation_steps: int = _setting(1, "steps whose gradients make one update", low=1)
    precision: str = _setting(
        "float32",
        "Keras dtype policy; auto is mixed_bfloat16 on accelerators that compute in it, else "
        "float32",
        ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    deterministic: bool = _setting(True, "same command and seed, same weights to the last bit")
    jit_compile: str = _setting(
        "auto", "XLA for the training step; auto is Keras' choice: on one GPU if not deterministic",
        ("auto", "on", "off"),
    )  # fmt: skip
    seed: int = _setting(0, "of weights, order and augmentation", low=0)
    strategy: str = _setting(
        "auto",
        "devices: mirrored takes all GPUs (or logical CPUs), multi_worker those of all workers in "
        "TF_CONFIG; auto is multi_worker where TF_CONFIG names several, else mirrored where there "
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
        for name in ("alpha", "learning_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"--{name} must be above 0. Received: {getattr(self, name)}")
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
        """What differs from settings read from JSON, such as `epochs: 5 there, 10 here`."""
        mine = json.loads(json.dumps(self.to_json()))
        return ", ".join(
            f"{name}: {other.get(name)!r} there, {value!r} here"
            for name, value in mine.items()
            if value != other.get(name)
        )


def _check(setting: dataclasses.Field, value: Any) -> None:
    choices, low = setting.metadata["choices"], setting.metadata["low"]
    if value is None and setting.default is None:
        return
    if choices and value not in choices:
        raise unknown_name(f"--{setting.name}", str(value), choices)
    if low is not None and not low <= value <= LARGEST:
        raise InputError(f"--{setting.name} must be {low} or more, below 2**31. Received: {value}")
