"""The corruptions of CIFAR-10-C and ImageNet-C, and the sequences of CIFAR-10-P and ImageNet-P.

Generated from clean images with NumPy, SciPy and Pillow only; TensorFlow is not imported.
"""

from __future__ import annotations

from dynmix_tf.corruptions.generator import GROUPS, corrupt, names, strengths_for
from dynmix_tf.corruptions.sequences import num_frames, sequence, sequence_names, sequence_step

__all__ = [
    "GROUPS",
    "corrupt",
    "names",
    "num_frames",
    "sequence",
    "sequence_names",
    "sequence_step",
    "strengths_for",
]
