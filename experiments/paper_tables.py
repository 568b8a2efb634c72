"""Tables 1 to 5 of the paper: what was trained for each value, with what settings, what came out.

Everything else about the tables (recipes, reproductions) is made from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["METHODS", "NETWORKS", "TABLES", "Network", "Run", "Table", "Value", "settings"]


@dataclass(frozen=True)
class Network:
    """A network: its name in the tables and here, epochs on CIFAR, and cost.

    `mega_macs` are the multiplications of one image forward, in millions.
    """

    title: str
    model: str
    epochs: int
    mega_macs: float


# section 4.1: 100 epochs, and 200 of the bigger networks
NETWORKS = {
    "allconvnet": Network("AllConvNet", "allconvnet", 100, 402.9),
    "densenet": Network("DenseNet", "densenet_bc_100_12", 200, 287.9),
    "wideresnet": Network("WideResNet", "wrn_40_2", 100, 327.6),
    "resnext": Network("ResNeXt", "resnext29_4x32d", 200, 1071.3),
    "resnet50": Network("ResNet-50", "resnet50", 90, 4089.2),
}

_MIX = {"consistency_weight": 12.0, "severity": 3.0}  # of AugMix; the paper gives neither
METHODS: dict[str, dict[str, Any]] = {
    "standard": {"method": "standard"},
    "mixup": {"method": "mixup", "alpha": 1.0, "l2": 1e-4},
    "cutmix": {"method": "cutmix", "alpha": 1.0, "cutmix_probability": 0.5},
    "autoaugment": {"method": "autoaugment"},
    "random_autoaugment": {"method": "random_autoaugment"},
    "adversarial": {
        "method": "adversarial", "attack_epsilon": 8.0, "attack_step_size": 2.0,
        "attack_steps": 10,
    },
    "sin": {"method": "sin", "sin_dir": "stylized_imagenet"},
    "augmix": {"method": "augmix", "consistency": "jsd", **_MIX},
    "dynmix": {"method": "dynmix", "consistency": "jsd", **_MIX},
    "augmix_no_jsd": {"method": "augmix", "consistency": "none", "severity": 3.0},
    "dynmix_no_jsd": {"method": "dynmix", "consistency": "none", "severity": 3.0},
    "dynmix_linear": {"method": "dynmix", "consistency": "jsd", "mixing": "linear", **_MIX},
    "augmix_single": {"method": "augmix", "consistency": "jsd_single", **_MIX},
    "dynmix_single": {"method": "dynmix", "consistency": "jsd_single", **_MIX},
}  # fmt: skip

# section 4.2: 180 epochs of three methods; of the others Goyal et al.'s 90. Stylized-ImageNet comes
# next to ImageNet, so that 45 epochs are as many steps.
_IMAGENET_EPOCHS = {"autoaugment": 180, "augmix": 180, "dynmix": 180, "sin": 45}
_IMAGENET_METHODS: dict[str, dict[str, Any]] = {
    "augmix": {"severity": 1.0},
    "dynmix": {"severity": 1.0, "operations": "imagenet"},
}
_CURVES = ("standard", "augmix", "dynmix")  # Figure 10 shows their errors by epoch


@dataclass(frozen=True)
class Run:
    """A training run; several values may come from one."""

    dataset: str
    network: str
    method: str

    @property
    def name(self) -> str:
        """A name for its folder."""
        return f"{self.dataset}_{self.network}_{self.method}"


@dataclass(frozen=True)
class Value:
    """One value of a table.

    `quantity` is what of the run's results it is: "error" (the mean over corruptions and
    severities), "clean", "mCE", "CE <corruption>", "mFR" or "FR <perturbation>". Without a run it
    is the mean of the column.
    """

    published: float
    run: Run | None
    quantity: str = "error"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the paper: titles, and values by row and column."""

    number: int
    caption: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: dict[tuple[str, str], Value]
    notes: tuple[str, ...] = field(default=())

    def runs(self) -> Iterator[Run]:
        """Its runs, each once, in the order of the rows."""
        seen = dict.fromkeys(value.run for value in self.values.values() if value.run)
        yield from seen


def settings(run: Run) -> dict[str, Any]:
    """The settings of the paper for a run, as flags of `python -m dynmix_tf.train`."""
    network = NETWORKS[run.network]
    flags = {"dataset": run.dataset, "model": network.model, **METHODS[run.method]}
    if run.dataset == "imagenet2012":
        flags |= {
            **_IMAGENET_METHODS.get(run.method, {}),
            "epochs": _IMAGENET_EPOCHS.get(run.method, network.epochs),
            "batch_size": 256, "learning_rate": 0.1, "linear_scaling": True, "warmup_epochs": 5,
            "schedule": "step", "momentum": 0.9, "l2": 1e-4,
        }  # fmt: skip
        return flags
    flags |= {
        "epochs": network.epochs, "batch_size": 128, "learning_rate": 0.1, "schedule": "cosine",
        "momentum": 0.9, "l2": flags.get("l2", 5e-4),
    }  # fmt: skip
    if (run.dataset, run.network) == ("cifar100", "wideresnet") and run.method in _CURVES:
        flags["robustness_every"] = 10
    return flags


def _cifar(number: int, dataset: str, caption: str, published: dict, notes: dict) -> Table:
    methods = {
        "Standard": "standard", "Mixup": "mixup", "CutMix": "cutmix", "AA*": "autoaugment",
        "Adv. Training": "adversarial", "AugMix": "augmix", "DynMix": "dynmix",
    }  # fmt: skip
    networks = {network.title: name for name, network in NETWORKS.items()}
    values = {}
    for row, numbers in published.items():
        for (column, method), number_ in zip(methods.items(), numbers, strict=True):
            run = Run(dataset, networks[row], method) if row in networks else None
            values[row, column] = Value(number_, run, note=notes.get((row, column), ""))
    return Table(number, caption, tuple(published), tuple(methods), values)


_IMAGENET_ROWS = {
    "Standard": "standard", "AA*": "autoaugment", "Random AA*": "random_autoaugment",
    "SIN": "sin", "AugMix": "augmix", "DynMix": "dynmix",
}  # fmt: skip


def _imagenet(
    number: int,
    caption: str,
    columns: dict[str, str],
    published: dict,
    notes: dict,
    general: tuple[str, ...],
) -> Table:
    values = {}
    for row, numbers in published.items():
        run = Run("imagenet2012", "resnet50", _IMAGENET_ROWS[row])
        for (column, quantity), value in zip(columns.items(), numbers, strict=True):
            values[row, column] = Value(value, run, quantity, notes.get((row, column), ""))
    return Table(number, caption, tuple(published), tuple(columns), values, general)


_TABLE_3 = {
    "Clean": "clean", "Gaussian": "CE gaussian_noise", "Shot": "CE shot_noise",
    "Impulse": "CE impulse_noise", "Defocus": "CE defocus_blur", "Glass": "CE glass_blur",
    "Motion": "CE motion_blur", "Zoom": "CE zoom_blur", "Snow": "CE snow", "Frost": "CE frost",
    "Fog": "CE fog", "Bright": "CE brightness", "Contrast": "CE contrast",
    "Elastic": "CE elastic_transform", "Pixel": "CE pixelate", "JPEG": "CE jpeg_compression",
    "mCE": "mCE",
}  # fmt: skip
_TABLE_4 = {
    "Clean": "clean", "Gaussian": "FR gaussian_noise", "Shot": "FR shot_noise",
    "Motion": "FR motion_blur", "Zoom": "FR zoom_blur", "Snow": "FR snow",
    "Bright": "FR brightness", "Translate": "FR translate", "Rotate": "FR rotate",
    "Tilt": "FR tilt", "Scale": "FR scale", "mFR": "mFR",
}  # fmt: skip


def _ablations() -> Table:
    rows = {
        "Standard": ("standard", 26.9, 53.3),
        "No JS Loss (AugMix)": ("augmix_no_jsd", 13.1, 39.8),
        "No JS Loss (DynMix)": ("dynmix_no_jsd", 10.4, 35.6),
        "Only linear component (DynMix)": ("dynmix_linear", 13.3, 39.2),
        "JSD with single sample (AugMix)": ("augmix_single", 12.6, 37.3),
        "JSD with single sample (DynMix)": ("dynmix_single", 9.7, 34.1),
    }
    columns = {"CIFAR-10-C error": "cifar10", "CIFAR-100-C error": "cifar100"}
    notes = {
        ("No JS Loss (AugMix)", "CIFAR-100-C error"): "Section 4.3 gives this value for Dynamic "
        "Mixup without the Jensen-Shannon loss, where the table has 35.6."
    }
    values = {
        (row, column): Value(
            number, Run(dataset, "wideresnet", method), note=notes.get((row, column), "")
        )
        for row, (method, *numbers) in rows.items()
        for (column, dataset), number in zip(columns.items(), numbers, strict=True)
    }
    caption = "Ablation results of Dynamic Mixup on CIFAR-10-C and CIFAR-100-C."
    return Table(5, caption, tuple(rows), tuple(columns), values)


TABLES: dict[int, Table] = {
    1: _cifar(
        1,
        "cifar10",
        "Average classification error (%) on CIFAR-10-C across several architectures.",
        {
            "AllConvNet": (30.8, 24.6, 31.3, 29.2, 28.1, 15.0, 12.8),
            "DenseNet": (30.7, 24.6, 33.5, 26.6, 27.6, 12.7, 10.1),
            "WideResNet": (26.9, 22.3, 27.1, 23.9, 26.2, 11.2, 8.9),
            "ResNeXt": (27.5, 22.6, 29.5, 24.2, 27.0, 10.9, 8.6),
            "Mean": (29.0, 23.5, 30.3, 26.0, 27.2, 12.5, 10.1),
        },
        {},
    ),
    2: _cifar(
        2,
        "cifar100",
        "Average classification error (%) on CIFAR-100-C across several architectures.",
        {
            "AllConvNet": (56.4, 53.4, 56.0, 55.1, 56.0, 42.7, 40.2),
            "DenseNet": (59.3, 55.4, 59.2, 53.9, 55.2, 39.6, 36.7),
            "WideResNet": (53.3, 50.4, 52.9, 49.6, 55.1, 35.9, 32.8),
            "ResNeXt": (53.4, 51.4, 54.1, 51.3, 54.4, 34.9, 31.7),
            "Mean": (55.6, 52.6, 55.5, 52.5, 55.2, 38.3, 35.5),
        },
        {
            ("WideResNet", "DynMix"): "Section 4.3 says 32.4.",
            ("Mean", "DynMix"): "The mean of the four values above is 35.35.",
        },
    ),
    3: _imagenet(
        3,
        "Clean error, corruption error (CE) and mCE (%) on ImageNet-C.",
        _TABLE_3,
        {
            "Standard": (
                23.9, 79, 80, 82, 82, 90, 84, 80, 86, 81, 75, 65, 79, 91, 77, 80, 80.6,
            ),
            "AA*": (22.8, 69, 68, 72, 77, 83, 80, 81, 79, 75, 64, 56, 70, 88, 57, 71, 72.7),
            "Random AA*": (
                23.6, 70, 71, 72, 80, 86, 82, 81, 81, 77, 72, 61, 75, 88, 73, 72, 76.1,
            ),
            "SIN": (27.2, 69, 70, 70, 77, 84, 76, 82, 74, 75, 69, 65, 69, 80, 64, 77, 73.3),
            "AugMix": (22.4, 65, 66, 67, 70, 80, 66, 66, 75, 72, 67, 58, 58, 79, 69, 69, 68.4),
            "DynMix": (18.3, 60, 61, 63, 66, 75, 61, 63, 71, 68, 63, 52, 51, 78, 69, 65, 64.4),
        },
        {
            ("Standard", "mCE"): "Section 4.2 says 82.1; the abstract has the table's value.",
            ("DynMix", "mCE"): "The abstract says 64.",
        },
        (
            "The printed mCE differ by up to 0.15 from the means of the printed CE, which are "
            "rounded.",
            "Section 4 writes CE and uCE as sums over severities; the values are means over them, "
            "normalised by AlexNet's.",
            "On ImageNet DynMix trains with downscale, which resembles the corruption pixelate.",
        ),
    ),
    4: _imagenet(
        4,
        "Flip rates (%) on the ten perturbations of ImageNet-P, and their mean.",
        _TABLE_4,
        {
            "Standard": (23.9, 57, 55, 62, 65, 66, 65, 43, 53, 57, 49, 57.2),
            "AA*": (22.8, 50, 45, 57, 68, 63, 53, 40, 44, 50, 46, 51.7),
            "Random AA*": (23.6, 53, 46, 53, 63, 59, 57, 42, 48, 54, 47, 52.2),
            "SIN": (27.2, 53, 50, 57, 72, 51, 62, 43, 53, 57, 53, 55),
            "AugMix": (22.4, 46, 41, 30, 47, 38, 46, 25, 32, 35, 33, 37.4),
            "DynMix": (18.3, 41, 37, 28, 41, 33, 41, 23, 28, 31, 30, 33.3),
        },
        {("Standard", "mFR"): "Section 4.2 says 58.7; the abstract has the table's value."},
        (
            "The printed mFR differ by up to 0.15 from the means of the printed flip rates, which "
            "are rounded.",
        ),
    ),
    5: _ablations(),
}  # fmt: skip
