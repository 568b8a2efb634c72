"""The augmentation methods, as Keras preprocessing layers for `tf.data`."""

from dynmix_tf.augment.dynamic_mixup import OPERATION_SETS, DynamicMixup
from dynmix_tf.augment.standard import StandardAugmentation
from dynmix_tf.augment.views import Views

__all__ = ["OPERATION_SETS", "DynamicMixup", "StandardAugmentation", "Views"]
