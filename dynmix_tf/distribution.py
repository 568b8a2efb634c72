"""Which devices a run trains on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf.errors import InputError

__all__ = ["make_strategy"]


def make_strategy(name: str, batch_size: int) -> Any:
    """A `tf.distribute` strategy.

    Args:
        name: "one_device"; "mirrored", over all GPUs, or over all logical CPUs where there is no
            GPU; "auto", mirrored where there is more than one GPU.
        batch_size: Images in a step over all devices.

    Raises:
        InputError: "mirrored" with one device only, or a batch that the devices cannot share.

    Example:
        >>> with make_strategy("auto", batch_size=128).scope():
        ...     model = ...
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    gpus = devices[0].device_type == "GPU"
    if name == "one_device" or (name == "auto" and not (gpus and len(devices) > 1)):
        return tf.distribute.OneDeviceStrategy(devices[0].name)
    if len(devices) == 1:
        raise InputError("--strategy=mirrored needs several devices; this machine shows one")
    if batch_size % len(devices):
        raise InputError(
            f"--batch_size={batch_size} cannot be shared by {len(devices)} devices; "
            f"take a multiple of {len(devices)}"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])
