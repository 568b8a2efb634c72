"""Predictors: functions from uint8 images to probabilities, of any model."""

from dynmix_tf.predictors.class_order import in_class_order
from dynmix_tf.predictors.functions import Predict, callable_predictor
from dynmix_tf.predictors.loading import check_model, load_predictor
from dynmix_tf.predictors.networks import network_predictor

__all__ = [
    "Predict",
    "callable_predictor",
    "check_model",
    "in_class_order",
    "load_predictor",
    "network_predictor",
]
