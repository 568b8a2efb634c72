"""The loop over epochs and steps on TensorFlow, for one device and for many workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf.callbacks import WaitingTime

__all__ = ["fit"]


def fit(
    model: keras.Model,
    make_dataset: Callable[[tf.distribute.InputContext], tf.data.Dataset],
    *,
    steps: int,
    epochs: int,
    initial_epoch: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    waiting: WaitingTime | None = None,
) -> None:
    """Trains as `keras.Model.fit` does, with the model's own `train_step`.

    It exists as `fit` of Keras 3 fails where there are several workers (keras issue 20585), and
    takes its batches inside the compiled step, where no one sees how long they are waited for.

    Of several replicas each normalises by its own part of the batch (BatchNorm), and so has moving
    averages of its own, of which Keras would save the first; here each epoch ends with their mean.

    Args:
        model: Compiled, and made in the scope of the strategy that it is to train with.
        make_dataset: The endless stream of one worker, from the first step on, in batches for one
            replica: as many in a row for each step as the worker has replicas.
        steps: Steps in an epoch.
        epochs: Epochs in all.
        initial_epoch: Epochs done before.
        callbacks: Called as by `keras.Model.fit`; those of one worker may differ from another's,
            but for what computes on all of them.
        waiting: Counts the time that is spent waiting for data; one of the callbacks.

    Example:
        >>> fit(model, lambda context: views.over(ds).repeat(), steps=2, epochs=1)
    """
    strategy = model.distribute_strategy
    batches = iter(strategy.distribute_datasets_from_function(make_dataset))
    if waiting is not None:
        batches = waiting.over(batches)

    @tf.function(jit_compile=bool(model.jit_compile), reduce_retracing=True)
    def train_step(batch: Any) -> dict[str, Any]:
        logs = strategy.run(model.train_step, args=(batch,))
        # those of one replica; summing over all takes until the end of the epoch
        return {name: strategy.experimental_local_results(log)[0] for name, log in logs.items()}

    averages = [
        variable
        for variable in model.non_trainable_variables
        if keras.backend.is_float_dtype(variable.dtype)
    ]

    @tf.function
    def share_averages() -> None:
        def of_replica() -> None:
            values = [variable.value.read_value() for variable in averages]
            means = tf.distribute.get_replica_context().all_reduce("MEAN", values)
            for variable, mean in zip(averages, means, strict=True):
                variable.assign(mean)

        strategy.run(of_replica)

    watched = keras.callbacks.CallbackList(
        list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0
    )
    model.stop_training = False
    logs: dict[str, Any] = {}
    watched.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        watched.on_epoch_begin(epoch)
        for step in range(steps):
            watched.on_train_batch_begin(step)
            logs = {name: float(log) for name, log in train_step(next(batches)).items()}
            watched.on_train_batch_end(step, logs)
        if averages and strategy.num_replicas_in_sync > 1:
            share_averages()
        logs = {name: float(value) for name, value in model.get_metrics_result().items()}
        watched.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    watched.on_train_end(logs)
