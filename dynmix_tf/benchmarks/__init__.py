"""What a model is scored on."""

from dynmix_tf.benchmarks.generated import GeneratedBenchmark

__all__ = ["GeneratedBenchmark"]
