"""A run's state in one file: weights, optimizer and step, replaced as a whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.archives import read_npz
from dynmix_tf.errors import InputError
from dynmix_tf.files import write_atomic

__all__ = ["restore_checkpoint", "save_checkpoint"]


def _variables(model: Any) -> dict[str, Any]:
    # by number: Keras numbers the automatic names through a whole process
    metrics = {id(variable) for variable in model.metrics_variables}
    state = [variable for variable in model.variables if id(variable) not in metrics]
    named = {f"model/{index}": variable for index, variable in enumerate(state)}
    return named | {f"optimizer/{i}": item for i, item in enumerate(model.optimizer.variables)}


def save_checkpoint(path: Path, model: Any, epoch: int) -> None:
    """Writes all variables of a compiled model and of its optimizer, and the epoch.

    Args:
        path: `.npz` file; replaced atomically, so a kill leaves the old one or the new one.
        model: Compiled `keras.Model`; metrics are left out.
        epoch: Epochs done.

    Example:
        >>> save_checkpoint(Path("runs/a/checkpoints/last.npz"), model, epoch=3)
    """
    arrays = {name: np.asarray(variable) for name, variable in _variables(model).items()}
    buffer = io.BytesIO()
    np.savez(buffer, epoch=epoch, **arrays)
    write_atomic(path, buffer.getvalue())


def restore_checkpoint(path: Path, model: Any, content: bytes | None = None) -> int:
    """Reads what `save_checkpoint` wrote into a model of the same making.

    Args:
        path: The file; what errors name.
        model: Gets the values.
        content: What is in the file, where this process cannot read it.

    Returns:
        The epochs done.

    Raises:
        InputError: The file is no checkpoint, or one of another model.
    """
    variables = _variables(model)
    try:
        with io.BytesIO(content) if content is not None else open(path, "rb") as file:
            arrays = read_npz(file)
        epoch = int(arrays.pop("epoch"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no checkpoint ({error}); delete it to start the run anew"
        ) from None
    if arrays.keys() != variables.keys() or any(
        arrays[name].shape != tuple(variable.shape)
        or arrays[name].dtype != np.asarray(variable).dtype
        for name, variable in variables.items()
    ):
        raise InputError(
            f"{path} is of another model or of another Keras backend; choose another "
            "--workdir, or delete it"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return epoch
