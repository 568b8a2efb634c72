"""The corruptions of CIFAR-10-C and ImageNet-C, generated from clean images.

NumPy, SciPy and Pillow only; TensorFlow is not imported.
"""

from __future__ import annotations

from dynmix_tf.corruptions.generator import GROUPS, corrupt, names, strengths_for

__all__ = ["GROUPS", "corrupt", "names", "strengths_for"]
