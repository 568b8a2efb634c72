"""Packaging: the version and the requirements have one place each, and are read from there."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
runtime, video, development = re.split("# --- .*", (here / "requirements.txt").read_text())


def requirements(text: str) -> list[str]:
    """The lines that name a package."""
    return [line for line in text.splitlines() if re.match(r"[a-z]", line)]


setup(
    name="dynmix_tf",
    version=re.search(r'"(.+)"', (here / "dynmix_tf/version.py").read_text().split("=")[1])[1],
    description="Dynamic Mixup for Keras 3: image classifiers that withstand corruption",
    long_description=(here / "README.md").read_text(),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["dynmix_tf", "dynmix_tf.*"]),
    package_data={"dynmix_tf.corruptions": ["frost/*"]},
    python_requires=">=3.11",
    install_requires=requirements(runtime),
    extras_require={
        "video": requirements(video),
        "test": requirements(video) + requirements(development),
    },
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)
