"""Dynamic Mixup: two augmented versions of one image, mixed with a non-linear weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dynmix_tf import randomness
from dynmix_tf.augment.operation_sets import (
    operation_names,
    overlapping_corruptions,
    tell_overlap,
)
from dynmix_tf.errors import real_number, unknown_name, whole_number
from dynmix_tf.layers.base import AugmentationLayer
from dynmix_tf.layers.chains import add_chains, draw_chains, run_chains
from dynmix_tf.layers.operations import OPERATION_LAYERS

__all__ = ["DynamicMixup", "mixing_coefficients"]

Tensor = Any


@keras.saving.register_keras_serializable(package="dynmix_tf")
class DynamicMixup(AugmentationLayer):
    """Mixes augmented versions of each image by weights that are not linear.

    Each image draws its own chains (`t1`, or `t2` after `t1`, with equal probability; operations
    uniformly, with replacement), strengths, signs and weight. With two chains the result is
    `m1*X1 + m2*X2 + m1*m2*(X1 - X2)`, `m1 ~ Beta(alpha, alpha)`, `m2 = 1 - m1`.

    Args:
        operations: "standard" (the paper's eleven), "imagenet" (and downscale, which is close to
            the corruption `pixelate`), "augmix" (the nine of AugMix), "all", or a tuple of names
            from `dynmix_tf.ops`. "all" is "standard" and color, contrast, brightness and
            sharpness, the four that AugMix's `--all-ops` adds; they overlap with the corruptions
            of the -C test sets, so AugMix leaves them out otherwise, and the layer warns.
        severity: 0 to 10; each application draws s ~ U(min(0.1, severity), severity).
        alpha: Of Beta(alpha, alpha), 0.001 to 1,000; 1 is uniform.
        num_chains: Augmented versions to mix. More than two draw m ~ Dirichlet(alpha) and give
            `sum m_i X_i + sum_{i<j} m_i m_j (X_i - X_j)`.
        max_depth: Longest chain of operations; the depth is uniform in 1..max_depth.
        mixing: "dynamic", or "linear": without the product term (the paper's Table 5).
        weights: "complementary" (they sum to 1), or "independent": each m_i ~ Beta(alpha, alpha).
            Independent weights change the brightness at random and leave the value range; they
            are not clipped. "normalized" divides them by their sum (not in the paper).
        keep_original: Whether the result is mixed with the image itself, as AugMix does:
            `b*x + (1 - b)*mix`, `b ~ Beta(alpha, alpha)`. Not in the paper.
        value_range: `(low, high)` of float images.
        seed: Integer that seeds calls without a `seed` of their own.

    Call arguments and result: as `AugmentationLayer`: uint8 or float images in, float32 out.

    Attributes:
        overlaps: The corruptions that each operation resembles, as `overlapping_corruptions`.

    Raises:
        InputError: An argument out of its range, or an unknown operation.

    Warns:
        UserWarning: One of the four operations that "all" adds is used. Downscale, which the
            paper itself uses, stands in `overlaps` only.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype="uint8")
        >>> mixed = DynamicMixup(severity=3.0)(images, seed=(7, 42))
        >>> mixed.shape, mixed.dtype.name
        (TensorShape([4, 32, 32, 3]), 'float32')

    Reference: Dynamic Mixup, section 3 and Appendix B; levels as in AugMix.
    """

    def __init__(
        self,
        operations: str | Sequence[str] = "standard",
        severity: float = 3.0,
        alpha: float = 1.0,
        num_chains: int = 2,
        max_depth: int = 2,
        mixing: str = "dynamic",
        weights: str = "complementary",
        keep_original: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        names = operation_names(operations)
        for name, rule, known in (
            ("mixing", mixing, ("dynamic", "linear")),
            ("weights", weights, ("complementary", "independent", "normalized")),
        ):
            if rule not in known:
                raise unknown_name(f"`{name}`", str(rule), known)
        self.operations = operations if isinstance(operations, str) else names
        self.severity = real_number("severity", severity, 0, 10)
        self.alpha = real_number("alpha", alpha, *randomness.ALPHAS)
        self.num_chains = whole_number("num_chains", num_chains, 1)
        self.max_depth = whole_number("max_depth", max_depth, 1)
        self.mixing = mixing
        self.weight_rule = weights  # `weights` is what Keras calls a layer's variables
        self.keep_original = bool(keep_original)
        self.operation_layers = [OPERATION_LAYERS[name](severity=severity) for name in names]
        tell_overlap(names)

    @property
    def overlaps(self) -> dict[str, tuple[str, ...]]:
        """The layer's operations that resemble corruptions, and which ones."""
        return overlapping_corruptions(self.operations)

    def get_random_transformation(self, keys: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Draws the chains and weights of each image.

        Returns:
            `depth` int32 (B, chains); `operation` int32, `strength` float32 and `negative` bool
            (B, chains, max_depth); `weight` float32 (B, chains), the paper's m; and where the
            original is kept its `share` float32 (B,).
        """
        if self.weight_rule in ("independent", "normalized"):
            chains = randomness.fold(keys[:, None], 1 + tf.range(self.num_chains))
            weight = randomness.beta(randomness.fold(chains, "weight"), self.alpha)
            if self.weight_rule == "normalized":
                weight /= tf.reduce_sum(weight, axis=1, keepdims=True)
        else:
            key = randomness.fold(keys, "weight")
            weight = randomness.dirichlet(key, self.alpha, self.num_chains)
        count = len(self.operation_layers)
        drawn = draw_chains(keys, self.num_chains, self.max_depth, count, self.severity)
        if self.keep_original:
            drawn["share"] = randomness.beta(randomness.fold(keys, "share"), self.alpha)
        return {**drawn, "weight": weight}

    def transform_images(self, images: Tensor, transformation: dict[str, Tensor]) -> Tensor:
        """Runs the chains on uint8 images and mixes their ends; float32 out."""
        ends = run_chains(images, transformation, self.operation_layers)
        coefficients = mixing_coefficients(transformation["weight"], self.mixing)
        if not self.keep_original:
            return add_chains(ends, coefficients)
        share = transformation["share"][:, None]
        mixed = add_chains(ends, (1.0 - share) * coefficients)
        return share[..., None, None] * tf.cast(images, tf.float32) + mixed

    def get_config(self) -> dict[str, Any]:  # noqa: D102
        config = {
            name: getattr(self, name)
            for name in (
                "operations", "severity", "alpha", "num_chains", "max_depth", "mixing",
                "keep_original",
            )
        }  # fmt: skip
        return {**super().get_config(), **config, "weights": self.weight_rule}


def mixing_coefficients(weight: Tensor, mixing: str) -> Tensor:
    """What each chain's image is multiplied with.

    Args:
        weight: float32 `(..., chains)`: the paper's m_1, m_2, ...
        mixing: "dynamic", for `sum m_i X_i + sum_{i<j} m_i m_j (X_i - X_j)`; or "linear", for
            the first sum alone.

    Returns:
        float32, the shape of `weight`; complementary weights give coefficients that sum to 1.

    Example:
        >>> mixing_coefficients(tf.constant([0.5, 0.5]), "dynamic").numpy()
        array([0.75, 0.25], dtype=float32)

    Reference: Dynamic Mixup, section 3, "Mixing".
    """
    if mixing == "linear":
        return weight
    before = tf.cumsum(weight, axis=-1, exclusive=True)
    after = tf.cumsum(weight, axis=-1, exclusive=True, reverse=True)
    return weight * (1.0 + after - before)
