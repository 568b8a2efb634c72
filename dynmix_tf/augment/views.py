"""From one image to several views of it, inside a `tf.data` pipeline."""

from __future__ import annotations

import sys
from typing import Any

import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment.mixup import LabelMixing
from dynmix_tf.errors import InputError, whole_number
from dynmix_tf.layers.base import AugmentationLayer, check_images, run_on_cpu

__all__ = ["Views"]

Tensor = Any


class Views:
    """Turns images into `(original, view_1, view_2, ...)`, each view drawn on its own.

    Args:
        layer: What makes a view: `DynamicMixup` or any `AugmentationLayer`. None makes none.
            `MixUp` and `CutMix`, which change the labels too, make one view and no original.
        num_views: How many views beside the original.
        before: Augmentation that all views share, such as `StandardAugmentation`; it makes the
            "original". None leaves the images as they are.
        original: False leaves the original out: a model then trains on the views alone.

    Call arguments:
        images: uint8 or float `(B, H, W, C)` or `(H, W, C)`.
        labels, ...: Passed through; `MixUp` and `CutMix` take labels and nothing more, and
            return probabilities.

    Returns:
        `(views, labels, ...)`, or `views` where only images came; `views` is a tuple of float32
        tensors, or the tensor itself where there is only one.

    Raises:
        InputError: No view and no original is asked for, `layer` is no augmentation layer, the
            two layers have another `value_range`, or `MixUp` or `CutMix` is to make more than
            one view; when called, what the layers refuse.

    Example:
        >>> views = Views(dynmix_tf.DynamicMixup(), before=dynmix_tf.StandardAugmentation())
        >>> ds = tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)
        >>> (original, mixed_1, mixed_2), labels = next(iter(views.over(ds, seed=0)))
        >>> mixup = dynmix_tf.MixUp(num_classes=10)
        >>> views = Views(mixup, 1, before=dynmix_tf.StandardAugmentation(), original=False)
        >>> mixed, probabilities = next(iter(views.over(ds, seed=0)))

    Source: Dynamic Mixup, section 3: crop and flip first, then two mixed versions.
    """

    def __init__(
        self,
        layer: AugmentationLayer | LabelMixing | None,
        num_views: int = 2,
        before: AugmentationLayer | None = None,
        original: bool = True,
    ) -> None:
        for name, value, kinds in (
            ("layer", layer, (AugmentationLayer, LabelMixing)),
            ("before", before, (AugmentationLayer,)),
        ):
            if not (value is None or isinstance(value, kinds)):
                raise InputError(
                    f"`{name}` must be an augmentation layer"
                    + (" of images alone" if isinstance(value, LabelMixing) else "")
                    + f". Received: {value!r}"
                )
        if layer is None:
            num_views = 0
        num_views = whole_number("num_views", num_views, 0)
        if not (num_views or original):
            raise InputError(
                f"nothing to make: num_views={num_views}, layer={layer}, original={original}"
            )
        if isinstance(layer, LabelMixing) and (num_views, original) != (1, False):
            raise InputError(
                f"{type(layer).__name__} mixes labels too, so it makes one view and no original: "
                f"num_views=1, original=False. Received: num_views={num_views}, "
                f"original={original}"
            )
        if layer and before and tuple(layer.value_range) != tuple(before.value_range):
            raise InputError(
                f"`layer` has value_range={layer.value_range}, `before` {before.value_range}; "
                "both work on the same images, so give both the same"
            )
        self.layer = layer
        self.num_views = num_views
        self.before = before
        self.original = bool(original)
        self._seeds = randomness.call_seeds(None)

    def __call__(self, images: Tensor, *rest: Tensor, seed: Any = None) -> Any:  # noqa: D102
        ranged = self.layer or self.before
        images = check_images(images, ranged.value_range if ranged else None)
        if seed is None:
            seed = self._seeds.make_seeds(1)[:, 0]
        count = tf.shape(images)[0] if images.shape.rank == 4 else 1
        return self.apply(images, *rest, keys=randomness.example_keys(seed, tf.range(count)))

    def apply(self, images: Tensor, *rest: Tensor, keys: Tensor) -> Any:
        """What a call gives, by given keys; for input pipelines that number their examples.

        Args:
            images: uint8 or float `(B, H, W, C)` or `(H, W, C)`.
            *rest: Labels and more, as in a call.
            keys: uint32 `(B,)` from `dynmix_tf.randomness.example_keys`; `(1,)` for one image.

        Returns:
            `(views, labels, ...)`, or `views` where only images came, as a call.
        """
        if isinstance(self.layer, LabelMixing):
            self.layer.check_labels(images, *map(tf.convert_to_tensor, rest))
            prepared, labels = self._prepare(images, keys), tf.convert_to_tensor(rest[0])
            return self.layer.augment(prepared, labels, randomness.fold(keys, 1))
        views = self.augment(images if images.shape.rank == 4 else images[None], keys)
        if images.shape.rank == 3:
            views = tuple(view[0] for view in views)
        result = views if len(views) > 1 else views[0]
        return (result, *rest) if rest else result

    def augment(self, images: Tensor, keys: Tensor) -> tuple[Tensor, ...]:
        """Makes the views of a batch by given keys.

        Args:
            images: uint8 or float `(B, H, W, C)`.
            keys: uint32 `(B,)` from `dynmix_tf.randomness.example_keys`.

        Returns:
            float32 tensors `(B, H, W, C)`: the original, unless left out, and the views.
        """
        if isinstance(self.layer, LabelMixing):
            raise InputError(f"{type(self.layer).__name__} needs labels: use `apply`, or a call")
        return run_on_cpu(self, images, keys)

    @property
    def jit_compile(self) -> bool:
        """Whether all of it is compiled by XLA, at once: if every layer is."""
        return all(layer.jit_compile for layer in (self.before, self.layer) if layer is not None)

    @property
    def program_key(self) -> Any:
        """Equal for views that may share a compiled program: those of equal settings."""
        layers = [layer and layer.program_key for layer in (self.layer, self.before)]
        return Views, self.num_views, self.original, *layers

    def augment_here(self, images: Tensor, keys: Tensor) -> tuple[Tensor, ...]:
        """As `augment`, not compiled by itself."""
        images = self._prepare(images, keys)
        views = [tf.cast(images, tf.float32)] if self.original else []
        if isinstance(self.layer, AugmentationLayer):
            # all views in one call, which is compiled once
            many = tf.tile(images, [self.num_views, 1, 1, 1])
            view_keys = [randomness.fold(keys, 1 + view) for view in range(self.num_views)]
            mixed = self.layer.augment(many, tf.concat(view_keys, axis=0))
            shape = self.layer.compute_output_shape(images.shape)
            views += [tf.ensure_shape(view, shape) for view in tf.split(mixed, self.num_views)]
        return tuple(views)

    def _prepare(self, images: Tensor, keys: Tensor) -> Tensor:
        if self.before is None:
            return images
        prepared = self.before.augment(images, randomness.fold(keys, "before"))
        prepared = tf.ensure_shape(prepared, self.before.compute_output_shape(images.shape))
        # before gives whole uint8 steps, so going back to the dtype that came loses nothing
        return tf.cast(prepared, images.dtype)

    def over(self, ds: tf.data.Dataset, seed: int = 0, start: int = 0) -> tf.data.Dataset:
        """Maps a data set of batches or single images, with reproducible draws.

        Example n of the stream draws from (seed, n): the same in a rerun, in any batch size and
        with any number of parallel calls. A data set that ends draws anew each time it is gone
        through, by tags that `tf.data` makes from `seed` and the seed of `tf.random.set_seed`;
        one that repeats for ever just counts on. `MixUp` and `CutMix` find their partners within
        a batch: with them the batches have to be the same, too. The layers' own seeds do not
        count. Float images are looked at as
        they pass: what is not finite or out of `value_range` ends the iteration.

        Args:
            ds: Elements `images` or `(images, labels, ...)`.
            seed: Integer.
            start: Number of the first example, for a stream that was skipped forward.

        Returns:
            A `tf.data.Dataset` of what calling the views gives.

        Raises:
            InputError: `ds` is no `tf.data.Dataset`, its elements are dictionaries, images of
                unknown rank, or what the layers refuse.
            tf.errors.InvalidArgumentError: While it is iterated: float images out of range.
        """
        if not isinstance(ds, tf.data.Dataset):
            raise InputError(
                "`ds` must be a tf.data.Dataset; of arrays, Dataset.from_tensor_slices((images, "
                f"labels)).batch(n) makes one. Received: {type(ds).__name__}"
            )
        specs = ds.element_spec if isinstance(ds.element_spec, tuple) else (ds.element_spec,)
        spec = specs[0]
        if not isinstance(spec, tf.TensorSpec) or spec.shape.rank not in (3, 4):
            raise InputError(
                "the data set's elements must be images or (images, labels), images of known rank "
                f"3 or 4 (tfds: as_supervised=True; else set_shape). Received: {ds.element_spec}"
            )
        seed, start = randomness.check_seed(seed) or 0, whole_number("start", start, 0)
        check_images(spec)
        if isinstance(self.layer, LabelMixing):
            self.layer.check_labels(*specs)
        ranged = self.layer or self.before
        value_range = ranged.value_range if ranged else None
        numbered = ds.scan(tf.constant(start, tf.int64), _count)
        if ds.cardinality() == tf.data.INFINITE_CARDINALITY:
            tagged = numbered.map(lambda first, element: (tf.constant(0, tf.int64), first, element))
        else:
            # one tag for each pass, which tf.data redraws from the seed when the pass begins
            tags = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)
            tagged = tags.flat_map(
                lambda tag: numbered.map(lambda first, element: (tag, first, element))
            )
            if ds.cardinality() != tf.data.UNKNOWN_CARDINALITY:
                tagged = tagged.apply(tf.data.experimental.assert_cardinality(ds.cardinality()))

        def apply(tag, first, element):
            images, *rest = element if isinstance(element, tuple) else (element,)
            if value_range and images.dtype.is_floating:
                _check_values(images, *value_range, first == start)
            word = tf.stack([tf.constant(seed, tf.int64), tag])
            count = tf.shape(images)[0] if images.shape.rank == 4 else 1
            indices = first + tf.range(tf.cast(count, tf.int64))
            return self.apply(images, *rest, keys=randomness.example_keys(word, indices))

        return tagged.map(apply, num_parallel_calls=tf.data.AUTOTUNE)


def _count(first: Tensor, element: Any) -> tuple[Tensor, Any]:
    images = element[0] if isinstance(element, tuple) else element
    size = tf.shape(images)[0] if images.shape.rank == 4 else 1
    return first + tf.cast(size, tf.int64), (first, element)


def _check_values(images: Tensor, low: float, high: float, is_first: Tensor) -> None:
    """What `check_images` asks of values, inside a graph."""
    least, most = tf.reduce_min(images), tf.reduce_max(images)  # NaN, if there is one
    slack = (high - low) / 1000
    tf.debugging.Assert(
        (least >= low - slack) & (most <= high + slack),
        [f"images must be finite and in {low:g}..{high:g} (value_range). Received:", least, most],
    )
    if high > 2 and is_first & (least >= 0) & (most <= 1) & tf.reduce_any(images % 1 != 0):
        tf.print(
            "float images in 0..1 are almost black in value_range=(", low, ", ", high,
            "); for images in 0..1 give value_range=(0, 1)", sep="", output_stream=sys.stderr,
        )  # fmt: skip
