"""Draws the pictures of the paper from the package itself: its Figures 1, 2, 5, 6, 7 and 8.

python experiments/figures/augmentations.py

Each is written as PNG and as PDF, on photographs that need no download. The same versions of the
libraries write the same bytes.
"""

import argparse
import importlib
import sys
from pathlib import Path

# name of the files: module and function that draw them
FIGURES = {
    "figure_1_noise": ("drift", "noise"),
    "figure_2_overview": ("method", "overview"),
    "figure_5_operations": ("method", "operations"),
    "figure_6_downscale": ("method", "downscale"),
    "figure_7_same_image": ("drift", "same_image"),
    "figure_8_different_images": ("drift", "different_images"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output_dir", type=Path, default=Path(__file__).parent, help="default: that of the script"
    )
    arguments = parser.parse_args()
    from tqdm import tqdm

    from dynmix_tf import commands

    commands.load_tensorflow()
    progress = tqdm(FIGURES.items(), desc="figures", unit="figure")
    for name, (module, function) in progress:
        progress.set_postfix_str(name)
        getattr(importlib.import_module(module), function)(arguments.output_dir / name)
    print(f"{2 * len(FIGURES)} files in {arguments.output_dir}", file=sys.stderr)


if __name__ == "__main__":
    main()
