"""What a model is scored on."""

from dynmix_tf.benchmarks.cifar_c import CifarCBenchmark, find_cifar_c, verify_cifar_c
from dynmix_tf.benchmarks.generated import GeneratedBenchmark
from dynmix_tf.benchmarks.perturbations import (
    Cifar10PBenchmark,
    ImageNetPBenchmark,
    SequenceBenchmark,
)

__all__ = [
    "Cifar10PBenchmark",
    "CifarCBenchmark",
    "GeneratedBenchmark",
    "ImageNetPBenchmark",
    "SequenceBenchmark",
    "find_cifar_c",
    "verify_cifar_c",
]
