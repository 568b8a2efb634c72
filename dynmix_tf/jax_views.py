"""The views of Dynamic Mixup and AugMix in JAX: made on the accelerator, inside the training step.

For machines without TensorFlow, or whose processor cannot feed their accelerator. The draws are
those of `dynmix_tf.Views` with `DynamicMixup` or `AugMix`, bit for bit, so equal keys give equal
views, but for what float32 and a compiler round otherwise: four values in ten thousand, by one
grey level, or more where a later operation enlarges it (a few in a million). Where the layers
compute only the operation that an image drew, all images go through one warp and one table here,
which is what an accelerator is good at.
"""

from __future__ import annotations

import zlib
from typing import Any

import jax
import jax.numpy as jnp

from dynmix_tf.errors import InputError, unknown_name
from dynmix_tf.quantiles import NODES, beta_quantiles, log_gamma_quantiles

__all__ = ["OPERATIONS", "JaxViews", "example_keys"]

Array = Any
_GEOMETRIC = (
    "flip_left_right", "flip_up_down", "rotate", "translate_x", "translate_y", "shear_x",
    "shear_y",
)  # fmt: skip
_TABLES = ("autocontrast", "equalize", "solarize", "posterize")
OPERATIONS = {"standard": (*_GEOMETRIC, *_TABLES), "augmix": (*_GEOMETRIC[2:], *_TABLES)}
"""The sets of operations that are here: as in `dynmix_tf.augment`."""


class JaxViews:
    """Makes the original and the mixed views of each image, after a padded crop and a flip.

    Args:
        num_views: Mixed views; 0 is the crop and flip alone.
        original: Whether the original comes first.
        operations: "standard" or "augmix".
        severity, alpha, num_chains, max_depth, weights: As `dynmix_tf.DynamicMixup`.
        mixing: "dynamic" or "linear", as `dynmix_tf.DynamicMixup`; or "augmix", what
            `dynmix_tf.AugMix` does, whose chains are three, of depth three.
        padding: Zeros on each side before the crop, pixels.

    Call arguments:
        images: uint8 `(B, H, W, C)`.
        keys: uint32 `(B,)` from `example_keys`.

    Returns:
        A tuple of float32 `(B, H, W, C)`, the views, values 0..255.

    Raises:
        InputError: Unknown operations, mixing rule or weights.

    Example:
        >>> views = JaxViews(num_views=2, severity=3.0)
        >>> made = jax.jit(views)(images, example_keys(0, jnp.arange(len(images))))
        >>> len(made), made[0].dtype.name
        (3, 'float32')

    Reference: Dynamic Mixup, section 3 and Appendix B; AugMix, `augment_and_mix.py`.
    """

    def __init__(
        self,
        num_views: int = 2,
        original: bool = True,
        operations: str = "standard",
        severity: float = 3.0,
        alpha: float = 1.0,
        num_chains: int = 2,
        max_depth: int = 2,
        mixing: str = "dynamic",
        weights: str = "complementary",
        padding: int = 4,
    ) -> None:
        for name, value, known in (
            ("set of operations in JAX", operations, OPERATIONS),
            ("`mixing`", mixing, ("dynamic", "linear", "augmix")),
            ("`weights`", weights, ("complementary", "independent")),
        ):
            if value not in known:
                raise unknown_name(name, str(value), known)
        if not (num_views or original):
            raise InputError(f"nothing to make: num_views={num_views}, original={original}")
        self.num_views = num_views
        self.original = original
        self.operations = OPERATIONS[operations]
        self.severity = severity
        self.alpha = alpha
        self.num_chains = num_chains
        self.max_depth = max_depth
        self.mixing = mixing
        self.weights = weights
        self.padding = padding

    def __call__(self, images: Array, keys: Array) -> tuple[Array, ...]:  # noqa: D102
        images = self.crop_and_flip(images, fold(keys, "before"))
        views = [images.astype("float32")] if self.original else []
        views += [self.mix(images, fold(keys, 1 + view)) for view in range(self.num_views)]
        return tuple(views)

    def crop_and_flip(self, images: Array, keys: Array) -> Array:
        """The standard augmentation of small images, uint8 in and out."""
        places = 2 * self.padding + 1
        flip = uniform(fold(keys, "flip")) < 0.5
        top, left = (integers(fold(keys, name), places) for name in ("top", "left"))
        images = jnp.where(flip[:, None, None, None], images[:, :, ::-1], images)
        around = (self.padding, self.padding)
        padded = jnp.pad(images, ((0, 0), around, around, (0, 0)))
        cut = jax.vmap(
            lambda image, y, x: jax.lax.dynamic_slice(image, (y, x, 0), images.shape[1:])
        )
        return cut(padded, top, left)

    def mix(self, images: Array, keys: Array) -> Array:
        """One mixed view of each image: uint8 in, float32 out."""
        chains = fold(keys[:, None], 1 + jnp.arange(self.num_chains))
        steps = fold(chains[..., None], 1 + jnp.arange(self.max_depth))
        depth = 1 + integers(fold(chains, "depth"), self.max_depth)
        chosen = integers(fold(steps, "operation"), len(self.operations))
        chosen = jnp.where(jnp.arange(self.max_depth) < depth[..., None], chosen, -1)
        low = min(0.1, self.severity)
        strength = uniform(fold(steps, "strength"), low, self.severity)
        sign = jnp.where(uniform(fold(steps, "negative")) < 0.5, -1.0, 1.0)

        ends = jnp.repeat(images, self.num_chains, axis=0)
        for step in range(self.max_depth):
            drawn = (value[..., step].reshape(-1) for value in (chosen, strength, sign))
            ends = jax.vmap(self._apply)(ends, *drawn)
        ends = ends.reshape(len(images), self.num_chains, *images.shape[1:]).astype("float32")
        coefficients = self._coefficients(keys, chains)
        mixed = jnp.zeros(images.shape, "float32")
        if self.mixing == "augmix":
            share = beta(fold(keys, "mix"), self.alpha)[:, None]
            coefficients = share * coefficients
            mixed = (1 - share)[..., None, None] * images
        for chain in range(self.num_chains):
            mixed += coefficients[:, chain, None, None, None] * ends[:, chain]
        return mixed

    def _coefficients(self, keys: Array, chains: Array) -> Array:
        if self.weights == "independent":
            weight = beta(fold(chains, "weight"), self.alpha)
        else:
            weight = dirichlet(fold(keys, "weight"), self.alpha, self.num_chains)
        if self.mixing != "dynamic":
            return weight
        # m1*X1 + m2*X2 + m1*m2*(X1 - X2), and so for every pair of more chains
        before = jnp.cumsum(weight, axis=1) - weight
        after = weight.sum(axis=1, keepdims=True) - before - weight
        return weight * (1 + after - before)

    def _apply(self, image: Array, chosen: Array, strength: Array, sign: Array) -> Array:
        """The drawn operation, -1 for none, on one image uint8 `(H, W, C)`."""
        names = self.operations
        is_drawn = {name: chosen == names.index(name) for name in names}
        matrix = jnp.array([1.0, 0, 0, 0, 1, 0])
        for name, coefficients in _warps(strength, sign, image.shape).items():
            if name in is_drawn:
                matrix = jnp.where(is_drawn[name], jnp.stack(coefficients), matrix)
        warped = _warp(image, matrix)

        def through_table(values: Array) -> Array:
            table = jnp.arange(256)
            for name, drawn in is_drawn.items():
                if name in _TABLES:
                    table = jnp.where(drawn, _table(name, values, strength), table)
            return table[values]

        values = warped.reshape(-1, image.shape[2])
        mapped = jax.vmap(through_table, in_axes=1, out_axes=1)(values)
        return mapped.reshape(image.shape).astype("uint8")


def fold(key: Array, purpose: str | int | Array) -> Array:
    """New keys from old ones, as `dynmix_tf.randomness.fold`."""
    word = zlib.crc32(purpose.encode()) if isinstance(purpose, str) else purpose
    return _scramble(key * jnp.uint32(0x9E3779B1) + _scramble(jnp.asarray(word, jnp.uint32)))


def example_keys(seed: int | Array, indices: Array) -> Array:
    """One key for each example, as `dynmix_tf.randomness.example_keys((seed, 0), indices)`.

    Args:
        seed: 0 or more, below 2**32.
        indices: Whole numbers `(B,)`, 0 or more, below 2**32.

    Returns:
        uint32 `(B,)`.

    Example:
        >>> example_keys(0, jnp.arange(3)).dtype.name
        'uint32'
    """
    key = jnp.zeros(indices.shape, jnp.uint32)
    zero = jnp.uint32(0)
    for word in (jnp.asarray(seed, jnp.uint32), zero, zero, zero, indices, zero):
        key = fold(key, word)
    return key


def uniform(key: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """float32 in [low, high), of 24 random bits."""
    unit = (key >> 8).astype("float32") * jnp.float32(2.0**-24)
    # the maximum is always the product; a compiler would round it and the sum at once
    return unit if (low, high) == (0.0, 1.0) else low + jnp.maximum(unit * (high - low), -unit)


def integers(key: Array, count: int) -> Array:
    """int32 in [0, count), for a count of 256 or less."""
    return ((key >> 8) * jnp.uint32(count) >> 24).astype("int32")


def beta(key: Array, alpha: float) -> Array:
    """float32 from Beta(alpha, alpha)."""
    if alpha == 1.0:
        return uniform(key)
    return jnp.interp(uniform(key) * NODES - 0.5, jnp.arange(NODES), beta_quantiles(alpha))


def dirichlet(key: Array, alpha: float, count: int) -> Array:
    """float32 weights from Dirichlet(alpha, ..., alpha); a last axis of `count`."""
    if count == 2:
        first = beta(key, alpha)
        return jnp.stack([first, 1 - first], axis=-1)
    draws = uniform(fold(key[..., None], jnp.arange(count))) * NODES - 0.5
    return jax.nn.softmax(jnp.interp(draws, jnp.arange(NODES), log_gamma_quantiles(alpha)))


def _scramble(word: Array) -> Array:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        word = (word ^ (word >> shift)) * jnp.uint32(factor)
    return word ^ (word >> 16)


def _warps(strength: Array, sign: Array, shape: tuple[int, ...]) -> dict[str, tuple]:
    """Where each geometric operation reads output (x, y): (a, b, c, d, e, f) of Pillow's AFFINE."""
    height, width = shape[:2]
    one, zero = jnp.ones_like(strength), jnp.zeros_like(strength)
    radians = -sign * jnp.floor(strength * 3.0) * jnp.float32(jnp.pi / 180)
    cos, sin = jnp.cos(radians), jnp.sin(radians)
    x, y = width / 2, height / 2
    shear = sign * strength * 0.03
    shift_x, shift_y = (sign * jnp.floor(strength * (side / 30)) for side in (width, height))
    return {
        "flip_left_right": (-one, zero, width * one, zero, one, zero),
        "flip_up_down": (one, zero, zero, zero, -one, height * one),
        "rotate": (cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y),
        "translate_x": (one, zero, shift_x, zero, one, zero),
        "translate_y": (one, zero, zero, zero, one, shift_y),
        "shear_x": (one, shear, zero, zero, one, zero),
        "shear_y": (one, zero, zero, shear, one, zero),
    }


def _warp(image: Array, matrix: Array) -> Array:
    """Reads an image between its pixels' centres, as Pillow: int32; 0 outside."""
    height, width, channels = image.shape
    x, y = jnp.arange(width)[None] + 0.5, jnp.arange(height)[:, None] + 0.5
    a, b, c, d, e, f = matrix
    source_x, source_y = a * x + b * y + c, d * x + e * y + f
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    low_x, low_y = jnp.floor(source_x - 0.5), jnp.floor(source_y - 0.5)
    weight_x = (source_x - 0.5 - low_x)[..., None]
    weight_y = (source_y - 0.5 - low_y)[..., None]
    flat = image.reshape(-1, channels).astype("float32")

    def read(row: Array, column: Array) -> Array:
        row = jnp.clip(row, 0, height - 1).astype("int32")
        return flat[row * width + jnp.clip(column, 0, width - 1).astype("int32")]

    def read_row(row: Array) -> Array:
        left, right = read(row, low_x), read(row, low_x + 1)
        return left + (right - left) * weight_x

    upper, lower = read_row(low_y), read_row(low_y + 1)
    values = (upper + (lower - upper) * weight_y).astype("int32")
    return jnp.where(inside[..., None], values, 0)


def _table(name: str, values: Array, strength: Array) -> Array:
    """New from old values, int32 `(256,)`, of one channel with values int32 `(N,)`."""
    value = jnp.arange(256)
    if name == "solarize":
        threshold = 256 - jnp.floor(strength * 25.6).astype("int32")
        return jnp.where(value >= threshold, 255 - value, value)
    if name == "posterize":
        bits = 4 - jnp.floor(strength * 0.4).astype("int32")
        return value & (256 - (1 << (8 - bits)))
    low, high = values.min(), values.max()
    if name == "autocontrast":
        stretched = jnp.clip(255 * (value - low) // jnp.maximum(high - low, 1), 0, 255)
        return jnp.where(high > low, stretched, value)
    histogram = jnp.bincount(values, length=256)
    step = (len(values) - histogram[high]) // 255
    below = jnp.cumsum(histogram) - histogram
    flat = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
    return jnp.where(step > 0, flat, value)
