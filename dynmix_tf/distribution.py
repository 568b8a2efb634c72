"""Which devices a run trains on: one, all of a machine, or those of several workers."""

from __future__ import annotations

from typing import Any

from dynmix_tf.cluster import Cluster, cluster_of
from dynmix_tf.errors import InputError

__all__ = ["check_replicas", "device_names", "dtype_policy", "make_strategy", "num_replicas"]


def make_strategy(name: str, batch_size: int) -> Any:
    """What a run's devices are put together by; its `scope` is where the model is made.

    Args:
        name: "one_device"; "mirrored", over all GPUs, or over all logical CPUs where there is no
            GPU; "multi_worker", over those of all workers in `TF_CONFIG`; "auto": several
            workers where `TF_CONFIG` names them, else mirrored where there is more than one GPU.
        batch_size: Images in a step over all devices.

    Returns:
        On TensorFlow a `tf.distribute` strategy. That of several workers must be made before
        anything else is computed, and waits for all of them. On JAX a
        `keras.distribution.DataParallel`, also for one device.

    Raises:
        InputError: "mirrored" with one device only, a batch that the devices cannot share, a
            wrong `TF_CONFIG`, or several workers on another backend than TensorFlow.

    Example:
        >>> with make_strategy("auto", batch_size=128).scope():
        ...     model = ...
    """
    import keras

    cluster = cluster_of(name)
    if keras.backend.backend() != "tensorflow":
        strategy = _jax_distribution(name, cluster)
    elif cluster:
        strategy = _multi_worker_strategy(cluster)
    else:
        strategy = _local_strategy(name)
    replicas = num_replicas(strategy)
    if batch_size % replicas:
        raise InputError(
            f"--batch_size={batch_size} cannot be shared by {replicas} devices; "
            f"take a multiple of {replicas}"
        )
    return strategy


def _chosen(name: str, devices: list[Any], on_cpu: bool) -> list[Any]:
    """Those of the machine's devices that are used."""
    if name == "one_device" or (name == "auto" and (on_cpu or len(devices) == 1)):
        return devices[:1]
    if len(devices) == 1:
        raise InputError(f"--strategy={name} needs several devices; this machine shows one")
    return devices


def _local_strategy(name: str) -> Any:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    chosen = _chosen(name, devices, devices[0].device_type == "CPU")
    if len(chosen) == 1:
        return tf.distribute.OneDeviceStrategy(chosen[0].name)
    return tf.distribute.MirroredStrategy([device.name for device in chosen])


def _multi_worker_strategy(cluster: Cluster) -> Any:
    import tensorflow as tf

    own = cluster.workers[cluster.index]
    print(f"worker {cluster.index} of {len(cluster.workers)} at {own} joins the others", flush=True)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise InputError(
            f"worker {cluster.index} at {own} cannot join {', '.join(cluster.workers)}: "
            f"{error.message}; check that the address is free and that all workers are started"
        ) from None


def _jax_distribution(name: str, cluster: Cluster | None) -> Any:
    import keras

    if cluster:
        raise InputError(
            "several workers train with KERAS_BACKEND=tensorflow only. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    devices = keras.distribution.list_devices()
    chosen = _chosen(name, devices, devices[0].startswith("cpu"))
    return keras.distribution.DataParallel(devices=chosen)


def num_replicas(strategy: Any) -> int:
    """How many devices share a batch.

    Args:
        strategy: From `make_strategy`.

    Example:
        >>> num_replicas(make_strategy("one_device", batch_size=128))
        1
    """
    if hasattr(strategy, "num_replicas_in_sync"):
        return strategy.num_replicas_in_sync
    return strategy.device_mesh.devices.size


def device_names(strategy: Any) -> list[str]:
    """The devices of this process that a strategy computes on.

    Args:
        strategy: From `make_strategy`.

    Example:
        >>> device_names(make_strategy("one_device", batch_size=128))
        ['/job:localhost/replica:0/task:0/device:CPU:0']
    """
    if hasattr(strategy, "extended"):
        return list(strategy.extended.worker_devices)
    return [f"device:{name.upper()}" for name in strategy.device_mesh.devices]


def check_replicas(config: Any, strategy: Any) -> None:
    """Finds nothing in the settings that several devices cannot do.

    Args:
        config: The `TrainConfig`.
        strategy: From `make_strategy`.

    Raises:
        InputError: On several replicas of TensorFlow: `jit_compile`, `accumulation_steps`, with
            which Keras fails there, or `clip_norm`, where it would clip each replica's gradient
            before they are summed.

    Example:
        >>> strategy = make_strategy("one_device", batch_size=128)
        >>> from dynmix_tf.config import TrainConfig
        >>> check_replicas(TrainConfig(accumulation_steps=2), strategy)
    """
    if not hasattr(strategy, "extended") or (replicas := num_replicas(strategy)) == 1:
        return
    for name, harmless in (
        ("jit_compile", ("auto", "off")),
        ("accumulation_steps", (1,)),
        ("clip_norm", (0.0,)),
    ):
        if (value := getattr(config, name)) not in harmless:
            raise InputError(
                f"--{name}={value} is not possible on {replicas} devices of TensorFlow; leave it "
                "out, or use --strategy=one_device"
            )


def dtype_policy(precision: str) -> str:
    """The Keras dtype policy of a `--precision`.

    Args:
        precision: A policy's name, or "auto": "mixed_bfloat16" on TPUs and on GPUs that compute in
            bfloat16 (compute capability 8.0 or above), "float32" elsewhere.

    Example:
        >>> dtype_policy("mixed_float16")
        'mixed_float16'
    """
    import keras

    if precision != "auto":
        return precision
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        # of GPUs alone, such as "9.0"
        capable = device.platform == "tpu" or float(getattr(device, "compute_capability", 0)) >= 8
    else:
        import tensorflow as tf

        details = map(
            tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU")
        )
        found = [gpu.get("compute_capability", (0, 0)) for gpu in details]
        capable = bool(found) and min(found) >= (8, 0)
    return "mixed_bfloat16" if capable else "float32"
