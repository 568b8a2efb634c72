"""AlexNet's errors on ImageNet-C, -3DCC and -P, the units in which results on them are told."""

from __future__ import annotations

__all__ = [
    "ALEXNET_CLEAN_ERROR",
    "ALEXNET_IMAGENET_3DCC",
    "ALEXNET_IMAGENET_C",
    "ALEXNET_IMAGENET_C_EXTRA",
    "ALEXNET_IMAGENET_P",
]

ALEXNET_CLEAN_ERROR = 0.4348
"""AlexNet's error rate (0..1) on the clean ImageNet validation images.

Source: google-research/robustness_metrics, `metrics/imagenet_variants.py`.
"""

ALEXNET_IMAGENET_C: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
    "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
    "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
    "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
    "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}
"""Error rates (0..1) of AlexNet at severities 1 to 5, for the 15 corruptions of ImageNet-C.

The network is torchvision's `alexnet-owt-4df8aa71`. Source: README of hendrycks/robustness
at 76d93933; the means agree with `ALEXNET_ERR` of google-research/augmix, `imagenet.py`.
"""

ALEXNET_IMAGENET_C_EXTRA: dict[str, tuple[float, float, float, float, float]] = {
    "speckle_noise": (0.66192, 0.74440, 0.90246, 0.94548, 0.97268),
    "gaussian_blur": (0.54732, 0.70444, 0.82574, 0.89864, 0.95940),
    "spatter": (0.47196, 0.62194, 0.75052, 0.84132, 0.90182),
    "saturate": (0.59342, 0.65514, 0.51174, 0.70834, 0.82260),
}
"""The same for the four validation corruptions, which never count for a mean over ImageNet-C."""

ALEXNET_IMAGENET_3DCC: dict[str, tuple[float, float, float, float, float]] = {
    "near_focus": (0.5384, 0.5808, 0.6178, 0.6446, 0.6718),
    "far_focus": (0.5278, 0.6098, 0.6686, 0.7100, 0.7414),
    "bit_error": (0.5568, 0.6000, 0.6728, 0.7370, 0.8502),
    "color_quant": (0.4490, 0.4612, 0.4982, 0.6694, 0.9032),
    "flash": (0.7142, 0.7520, 0.7918, 0.8440, 0.9042),
    "fog_3d": (0.5626, 0.7192, 0.8148, 0.8672, 0.9040),
    "h265_abr": (0.5020, 0.5164, 0.5506, 0.6374, 0.6306),
    "h265_crf": (0.4972, 0.4988, 0.5114, 0.5504, 0.5682),
    "iso_noise": (0.8692, 0.8948, 0.9342, 0.9714, 0.9880),
    "low_light": (0.7168, 0.7636, 0.8126, 0.8754, 0.9440),
    "xy_motion_blur": (0.6972, 0.7910, 0.8470, 0.8844, 0.9046),
    "z_motion_blur": (0.7208, 0.7692, 0.8070, 0.8340, 0.8484),
}
"""Error rates (0..1) of AlexNet for the 12 corruptions of ImageNet-3DCC.

Measured by RobustBench on its 5,000 images, not on all 50,000: on ImageNet-C the means of those
5,000 differ from the full ones by .003 on average and .006 at most. No table of the full set was
found, nor is the normaliser of published 3DCC figures always stated. Source: RobustBench,
`model_info/imagenet/corruptions/unaggregated_results_3d.csv`.
"""

ALEXNET_IMAGENET_P: dict[str, float] = {
    "gaussian_noise": 0.2365,
    "shot_noise": 0.3006,
    "motion_blur": 0.0930,
    "zoom_blur": 0.0594,
    "snow": 0.1193,
    "brightness": 0.0489,
    "translate": 0.1101,
    "rotate": 0.1310,
    "tilt": 0.0705,
    "scale": 0.2353,
}
"""Flip probabilities (0..1) of AlexNet for the ten perturbations of ImageNet-P.

Recalled, not read: the published table is in a spreadsheet that could not be opened. Three
networks whose flip probabilities others measured come to their published mFR within 0.3 points
with it, so a mean is right to about that; a single entry is not verified. Give your own as
`baseline` where you have them.
"""
