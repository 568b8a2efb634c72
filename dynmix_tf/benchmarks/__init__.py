"""What a model is scored on."""

from dynmix_tf.benchmarks.cifar_c import CifarCBenchmark, find_cifar_c, verify_cifar_c
from dynmix_tf.benchmarks.generated import GeneratedBenchmark

__all__ = ["CifarCBenchmark", "GeneratedBenchmark", "find_cifar_c", "verify_cifar_c"]
