"""Keras callbacks: robustness while training, a run's record and checkpoint, waiting for data."""

from dynmix_tf.callbacks.robustness import RobustnessEvaluation
from dynmix_tf.callbacks.run_record import RunRecord
from dynmix_tf.callbacks.waiting import WaitingTime

__all__ = ["RobustnessEvaluation", "RunRecord", "WaitingTime"]
