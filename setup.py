"""Reads the requirements from requirements.txt; all else of the packaging is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

text = (Path(__file__).parent / "requirements.txt").read_text()
# "# --- NAME" begins the part of the extra NAME; what is before them is always installed
runtime, *parts = (
    re.findall(r"^\w.*", part, re.M) for part in re.split("^# --- .*", text, flags=re.M)
)
names = re.findall(r"^# --- (\w+)", text, re.M)
extras = dict(zip(names, parts, strict=True))
extras["all"] = [line for name in names if name != "test" for line in extras[name]]
extras["test"] += extras["all"]

setup(install_requires=runtime, extras_require=extras)
