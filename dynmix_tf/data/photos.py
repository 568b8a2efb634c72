"""Patches of the photographs that the scikit-image and scikit-learn packages carry.

Real colour images that need no download: the class is the photograph that a patch was cut from.
"""
