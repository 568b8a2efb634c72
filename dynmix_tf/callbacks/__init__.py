"""Keras callbacks: robustness while training, and a run's record and checkpoint."""

from dynmix_tf.callbacks.robustness import RobustnessEvaluation
from dynmix_tf.callbacks.run_record import RunRecord

__all__ = ["RobustnessEvaluation", "RunRecord"]
