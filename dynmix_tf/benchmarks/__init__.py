"""What a model is scored on."""

from dynmix_tf.benchmarks.cifar_c import CifarCBenchmark, find_cifar_c, verify_cifar_c
from dynmix_tf.benchmarks.conditions import Benchmark
from dynmix_tf.benchmarks.corrupted_tfds import CorruptedTfdsBenchmark
from dynmix_tf.benchmarks.generated import GeneratedBenchmark
from dynmix_tf.benchmarks.image_folders import ImageFolderBenchmark
from dynmix_tf.benchmarks.imagenet_classes import imagenet_classes
from dynmix_tf.benchmarks.perturbations import (
    Cifar10PBenchmark,
    ImageNetPBenchmark,
    SequenceBenchmark,
)

__all__ = [
    "Benchmark",
    "Cifar10PBenchmark",
    "CifarCBenchmark",
    "CorruptedTfdsBenchmark",
    "GeneratedBenchmark",
    "ImageFolderBenchmark",
    "ImageNetPBenchmark",
    "SequenceBenchmark",
    "find_cifar_c",
    "imagenet_classes",
    "verify_cifar_c",
]
