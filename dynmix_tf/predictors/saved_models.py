"""Predictors of SavedModels, this package's and others'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dynmix_tf.errors import InputError
from dynmix_tf.predictors.functions import Predict, callable_predictor
from dynmix_tf.predictors.networks import compiled, scaling

__all__ = ["saved_model_predictor"]

_ENDPOINTS = ("serve", "serving_default")
_OUTSIDE = re.compile(
    "ReadFile|WriteFile|MatchingFiles|PyFunc|Dataset|TextFile|(File|Record|Line|LMDB)Reader|"
    "(File|Db)Writer|LoadAndRemap|DebugIdentity|RemoteCall|Rpc|FileSystem"
)


def saved_model_predictor(
    path: str | Path,
    *,
    output: str = "auto",
    signature: str | None = None,
    value_range: Sequence[float] = (0, 255),
) -> Predict:
    """A function from uint8 images to probabilities, of a SavedModel.

    The endpoint takes one batch of images `(None, H, W, C)`, uint8 or float32, and gives one
    `(N, classes)`, as `dynmix_tf.export_saved_model` and `keras.Model.export` write it.

    A SavedModel must be trusted as a program must. One whose graph reads or writes files, reads
    data sets or calls Python is refused, but what every SavedModel saves and restores its variables
    with can do harm too.

    Args:
        path: The folder.
        output: "logits", "probabilities", or "auto": probabilities of this package's own `serve`,
            and where the values say so, see `callable_predictor`.
        signature: The endpoint; `serve` if None, or `serving_default` where there is no `serve`.
        value_range: What a float32 endpoint takes black and white as.

    Returns:
        `(N, H, W, C) uint8 -> (N, classes) float32`, with the checks of `callable_predictor`.

    Raises:
        InputError: There is no such endpoint, it takes or gives something else, or the graph does
            more than compute.

    Warns:
        UserWarning: As `callable_predictor`; not for this package's own.

    Example:
        >>> network.export("exported", verbose=False)
        >>> saved_model_predictor("exported")(images[:8]).shape
        (8, 10)
    """
    try:
        if outside := _outside_operations(Path(path) / "saved_model.pb"):
            raise InputError(
                f"{path}: the graph does more than compute ({', '.join(outside)}), which can harm "
                "this machine; if you trust it, call it from Python, by `callable_predictor`"
            )
        loaded = tf.saved_model.load(str(path))
    except InputError:
        raise
    except Exception as error:  # a damaged folder can raise nearly anything
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{path} is no SavedModel: {reason}") from None
    endpoints = dict(loaded.signatures)
    found = [name for name in ([signature] if signature else _ENDPOINTS) if name in endpoints]
    if not found:
        asked = f"'{signature}'" if signature else "'serve' or 'serving_default'"
        has = ", ".join(endpoints) or "none"
        raise InputError(f"{path} has no endpoint {asked} (`signature`); its endpoints: {has}")
    serve = endpoints[found[0]]
    inputs, outputs = serve.structured_input_signature[1], serve.structured_outputs
    name, image = next(iter(inputs.items()), ("", tf.TensorSpec(None)))
    batch_of_images = image.shape.rank == 4 and image.shape[0] is None
    known = image.dtype in (tf.uint8, tf.float32)
    if not (len(inputs) == len(outputs) == 1 and batch_of_images and known):
        raise InputError(
            f"{path}: '{found[0]}' takes {_told(inputs)} and gives {_told(outputs)}; expected one "
            "batch of images (None, H, W, C), uint8 or float32, and one output; choose another "
            f"endpoint with `signature`: {', '.join(endpoints)}"
        )
    if image.dtype == tf.uint8 and tuple(value_range) != (0, 255):
        raise InputError(f"`value_range` does nothing with {path}, which takes uint8; leave it out")
    scaled = scaling(value_range)

    def forward(images: Any) -> Any:
        if image.dtype == tf.float32:
            images = scaled(tf.cast(images, tf.float32))
        return serve(**{name: images})

    if output == "auto" and found[0] == "serve" and name == "image" and "logits" in endpoints:
        output = "probabilities"  # as `export_saved_model` writes
    compute = compiled(forward, tf.distribute.get_strategy())
    predict = callable_predictor(compute, output, image.shape[1:])
    predict.owner = loaded  # type: ignore[attr-defined]  # a signature does not keep its variables
    return predict


def _outside_operations(path: Path) -> list[str]:
    """The names of operations that a classifier has no use for; nothing is run."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    names = set()
    for graph in model.meta_graphs:
        nodes = [graph.graph_def.node, *(f.node_def for f in graph.graph_def.library.function)]
        names |= {node.op for part in nodes for node in part}
    return sorted(filter(_OUTSIDE.search, names))


def _told(specs: dict[str, Any]) -> str:
    texts = [f"{name} {spec.dtype.name} {spec.shape}" for name, spec in specs.items()]
    return ", ".join(texts) or "nothing"
