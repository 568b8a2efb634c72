"""The packages that a bundle brings along."""

import os
import shutil
import sys
import zipfile
from pathlib import Path


def use_wheels(folder: Path) -> None:
    """Unpacks `folder/wheels` once, and imports from there; without wheels does nothing.

    What the machine has installed itself comes first, so its JAX keeps its NumPy.
    """
    wheels = sorted((folder / "wheels").glob("*.whl"))
    if not wheels:
        return
    site = folder / "site"
    if not site.exists():
        fresh = folder / f"site.{os.getpid()}"
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(fresh)
        try:
            fresh.rename(site)
        except OSError:  # another command was faster
            shutil.rmtree(fresh)
    sys.path += [str(folder), str(site)]
