"""The processes that train together: who they are, and what they tell each other."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError, Interrupted

__all__ = ["Cluster", "broadcast", "check_equal", "cluster_of", "losses_told"]

_EXPECTED = (
    'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together, and which of them this one is.

    Args:
        workers: "host:port" of each, the chief first.
        index: The place of this process in `workers`.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.index == 0


def cluster_of(strategy: str) -> Cluster | None:
    """The cluster that a run with this `--strategy` belongs to; TensorFlow is not imported.

    It is that of the environment variable `TF_CONFIG`, for "multi_worker" and, where several
    workers are named, "auto".

    Raises:
        InputError: `TF_CONFIG` is missing or makes no sense, or names several workers for a
            strategy of one process.

    Example:
        >>> os.environ["TF_CONFIG"] = json.dumps(
        ...     {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
        ... )
        >>> cluster_of("auto")
        Cluster(workers=('a:1', 'b:1'), index=1)
        >>> del os.environ["TF_CONFIG"]
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        if strategy == "multi_worker":
            raise InputError(
                "--strategy=multi_worker needs the environment variable TF_CONFIG in each worker; "
                + _EXPECTED
            )
        return None
    cluster = _parse(text)
    if strategy == "multi_worker" or (strategy == "auto" and len(cluster.workers) > 1):
        return cluster
    if len(cluster.workers) > 1:
        raise InputError(
            f"TF_CONFIG names {len(cluster.workers)} workers, of which --strategy={strategy} knows "
            "nothing; use --strategy=multi_worker, or unset TF_CONFIG"
        )
    return None


def _parse(text: str) -> Cluster:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise InputError(f"TF_CONFIG is no JSON ({error}); {_EXPECTED}") from None
    jobs = config.get("cluster") if isinstance(config, dict) else None
    task = config.get("task") if isinstance(config, dict) else None
    jobs = jobs if isinstance(jobs, dict) and all(map(_is_list, jobs.values())) else {}
    if not (jobs.get("worker") or jobs.get("chief")):
        raise InputError(f"TF_CONFIG names no cluster of workers; {_EXPECTED}")
    if "ps" in jobs:
        raise InputError(
            "TF_CONFIG names parameter servers (ps), with which Keras 3 cannot train; name "
            "workers alone"
        )
    if unknown := set(jobs) - {"chief", "worker", "evaluator"}:
        raise InputError(f"TF_CONFIG has unknown jobs {', '.join(sorted(unknown))}; {_EXPECTED}")
    places = [
        (job, index) for job in ("chief", "worker") for index in range(len(jobs.get(job, ())))
    ]
    workers = tuple(jobs[job][index] for job, index in places)
    for address in workers:
        if not isinstance(address, str) or not re.fullmatch(r"\S+:\d{1,5}", address):
            raise InputError(f"TF_CONFIG has the address {address!r}; expected host:port")
    if len(set(workers)) < len(workers) or len(jobs.get("chief", ())) > 1:
        raise InputError("TF_CONFIG has two workers of one address, or two chiefs")
    if not isinstance(task, dict) or (task.get("type"), task.get("index")) not in places:
        known = ", ".join(f"{job} {index}" for job, index in places)
        raise InputError(
            f"TF_CONFIG has the task {task!r}, which is none of its cluster's: {known}; "
            + _EXPECTED
        )
    return Cluster(workers, places.index((task["type"], task["index"])))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def broadcast(strategy: Any, cluster: Cluster, content: bytes, worker: int = 0) -> bytes:
    """What one worker has, in all of them; all must call this at the same point.

    Args:
        strategy: The `MultiWorkerMirroredStrategy` of the cluster.
        cluster: The cluster.
        content: Counts in the worker that is asked for; below 4 GiB.
        worker: Its place in the cluster; 0 is the chief.

    Returns:
        The content of that worker.

    Example:
        >>> broadcast(strategy, cluster, path.read_bytes())  # doctest: +SKIP
        b'...'
    """
    content = content if cluster.index == worker else b""
    # 16 bits a float: sums with zeros are exact, and every device can sum floats
    size = np.array(divmod(len(content), 2**16), np.float32)
    high, low = map(int, _sum(strategy, cluster, size))
    length = high * 2**16 + low
    if not length:
        return b""  # TensorFlow crashes where there is nothing to sum
    pieces: np.ndarray = np.zeros(-(-length // 2), np.float32)
    if cluster.index == worker:
        pieces[:] = np.frombuffer(content + b"\0" * (length % 2), "<u2")
    return _sum(strategy, cluster, pieces).astype("<u2").tobytes()[:length]


def _sum(strategy: Any, cluster: Cluster, values: np.ndarray) -> np.ndarray:
    """The sum over the workers, however many devices each has."""
    import tensorflow as tf

    local = strategy.num_replicas_in_sync // len(cluster.workers)

    def once(values: Any) -> Any:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(replica % local == 0, values, 0.0)

    @tf.function
    def total(values: Any) -> Any:
        return strategy.reduce("SUM", strategy.run(once, args=(values,)), axis=None)

    return total(tf.constant(values)).numpy()


def check_equal(strategy: Any, cluster: Cluster, settings: dict[str, Any]) -> None:
    """Finds the settings of all workers equal.

    Args:
        strategy: The `MultiWorkerMirroredStrategy` of the cluster.
        cluster: The cluster.
        settings: JSON values, those of this worker.

    Raises:
        InputError: In every worker, if any differs from the chief.

    Example:
        >>> check_equal(strategy, cluster, {"epochs": 5})  # doctest: +SKIP
    """
    own = json.dumps(settings).encode()
    first, *others = (
        json.loads(broadcast(strategy, cluster, own, worker))
        for worker in range(len(cluster.workers))
    )
    for index, other in enumerate(others, start=1):
        for name in first:
            if first[name] != other.get(name):
                raise InputError(
                    f"worker {index} has {name}={other.get(name)!r}, worker 0 {first[name]!r}; "
                    "start all workers with the same flags, data and versions"
                )


@contextlib.contextmanager
def losses_told(cluster: Cluster | None) -> Iterator[None]:
    """Makes `Interrupted` of TensorFlow's error where a worker does not hear of another any more.

    Args:
        cluster: The cluster; None, with which nothing is made of anything.

    Raises:
        Interrupted: Another worker was lost.

    Example:
        >>> with losses_told(cluster_of("one_device")):
        ...     history = model.fit(views.over(ds), verbose=0)
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        own = isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.NotFoundError))
        if cluster is None or own:
            raise
        lines = error.message.splitlines()
        reason = next((line for line in lines if "aborted by" in line), lines[0])
        raise Interrupted(
            f"worker {cluster.index} lost another ({reason[:200]}); the same command in all "
            "workers continues the run"
        ) from None
