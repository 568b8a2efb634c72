"""From one image to several views of it, inside a `tf.data` pipeline."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.errors import InputError
from dynmix_tf.layers.base import AugmentationLayer

__all__ = ["Views"]

Tensor = Any


class Views:
    """Turns images into `(original, view_1, view_2, ...)`, each view drawn on its own.

    Args:
        layer: What makes a view: `DynamicMixup` or any `AugmentationLayer`. None makes none.
        num_views: How many views beside the original.
        before: Augmentation that all views share, such as `StandardAugmentation`; it makes the
            "original". None leaves the images as they are.
        original: False leaves the original out: a model then trains on the views alone.

    Call arguments:
        images: uint8 or float `(B, H, W, C)` or `(H, W, C)`.
        labels, ...: Passed through.

    Returns:
        `(views, labels, ...)`, or `views` where only images came; `views` is a tuple of float32
        tensors, or the tensor itself where there is only one.

    Raises:
        InputError: No view and no original is asked for, `layer` is no augmentation layer, or
            the two layers have another `value_range`.

    Example:
        >>> views = Views(dynmix_tf.DynamicMixup(), before=dynmix_tf.StandardAugmentation())
        >>> ds = tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)
        >>> (original, mixed_1, mixed_2), labels = next(iter(views.over(ds, seed=0)))

    Source: Dynamic Mixup, section 3: crop and flip first, then two mixed versions.
    """

    def __init__(
        self,
        layer: AugmentationLayer | None,
        num_views: int = 2,
        before: AugmentationLayer | None = None,
        original: bool = True,
    ) -> None:
        for name, value in (("layer", layer), ("before", before)):
            if not (value is None or isinstance(value, AugmentationLayer)):
                raise InputError(f"`{name}` must be an augmentation layer. Received: {value!r}")
        if layer is None:
            num_views = 0
        if int(num_views) != num_views or num_views < 0 or not (num_views or original):
            raise InputError(
                f"nothing to make: num_views={num_views}, layer={layer}, original={original}"
            )
        if layer and before and tuple(layer.value_range) != tuple(before.value_range):
            raise InputError(
                f"`layer` has value_range={layer.value_range}, `before` {before.value_range}; "
                "both work on the same images, so give both the same"
            )
        self.layer = layer
        self.num_views = int(num_views)
        self.before = before
        self.original = bool(original)

    def __call__(self, images: Tensor, *rest: Tensor, seed: Any = None) -> Any:  # noqa: D102
        images = tf.convert_to_tensor(images)
        if seed is None:
            seed = randomness.fresh_seed(None)
        if images.shape.rank == 3:
            views = self.augment(images[None], randomness.example_keys(seed, tf.zeros(1, tf.int64)))
            views = tuple(view[0] for view in views)
        else:
            indices = tf.range(tf.shape(images)[0])
            views = self.augment(images, randomness.example_keys(seed, indices))
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
        shape = images.shape
        if self.before is not None:
            dtype = images.dtype
            # before gives whole uint8 steps, so going back to the dtype that came loses nothing
            images = tf.cast(self.before.augment(images, randomness.fold(keys, "before")), dtype)
        views = [tf.cast(images, tf.float32)] if self.original else []
        if self.layer is not None:
            # all views in one call: the larger the batch, the fuller each operation's group
            many = tf.tile(images, [self.num_views, 1, 1, 1])
            view_keys = [randomness.fold(keys, 1 + view) for view in range(self.num_views)]
            mixed = self.layer.augment(many, tf.concat(view_keys, axis=0))
            views += tf.split(mixed, self.num_views)
        return tuple(tf.ensure_shape(view, shape) for view in views)

    def over(self, ds: tf.data.Dataset, seed: int = 0, start: int = 0) -> tf.data.Dataset:
        """Maps a data set of batches or single images, with reproducible draws.

        Example n of the stream draws from (seed, n): the same in a rerun, in any batch size and
        with any number of parallel calls. A data set that ends draws anew each time it is gone
        through, by tags that `tf.data` makes from `seed` and the seed of `tf.random.set_seed`;
        one that repeats for ever just counts on.

        Args:
            ds: Elements `images` or `(images, labels, ...)`.
            seed: Integer.
            start: Number of the first example, for a stream that was skipped forward.

        Returns:
            A `tf.data.Dataset` of what calling the views gives.

        Raises:
            InputError: The elements are dictionaries, or images of unknown rank.
        """
        spec = ds.element_spec[0] if isinstance(ds.element_spec, tuple) else ds.element_spec
        if not isinstance(spec, tf.TensorSpec) or spec.shape.rank not in (3, 4):
            raise InputError(
                "the data set's elements must be images or (images, labels), images of known rank "
                f"3 or 4 (tfds: as_supervised=True; else set_shape). Received: {ds.element_spec}"
            )
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
            word = tf.stack([tf.constant(seed, tf.int64), tag])
            batch = images if images.shape.rank == 4 else images[None]
            indices = first + tf.range(tf.shape(batch)[0], dtype=tf.int64)
            views = self.augment(batch, randomness.example_keys(word, indices))
            if images.shape.rank == 3:
                views = tuple(view[0] for view in views)
            result = views if len(views) > 1 else views[0]
            return (result, *rest) if rest else result

        return tagged.map(apply, num_parallel_calls=tf.data.AUTOTUNE)


def _count(first: Tensor, element: Any) -> tuple[Tensor, Any]:
    images = element[0] if isinstance(element, tuple) else element
    size = tf.shape(images)[0] if images.shape.rank == 4 else 1
    return first + tf.cast(size, tf.int64), (first, element)
