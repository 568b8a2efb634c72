"""Corrupted images written to files, laid out as CIFAR-10-C, ImageNet-C and their -P are."""
