"""Makes one file with everything for training on a machine without a network: a bundle.

python experiments/offline/make_bundle.py --dataset=cifar10 --data_dir=... --output=bundle.tar

The other machine needs Python and JAX, no TensorFlow. There:

tar xf bundle.tar && cd dynmix_offline
python train.py --dataset=images.npz --model=wrn_40_2 --method=dynmix --workdir=runs/a

The bundle holds this package, the wheels of Keras and what it needs besides JAX, and the images,
each a PNG, or with --quality a JPEG (smaller, and not the same pixels any more: say so beside
numbers); those of a packed .npz stay as they are encoded there. `runs/a` comes back as a run
directory like any other.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

from dynmix_tf import data, files, runs
from dynmix_tf.errors import InputError

# besides JAX, NumPy, SciPy and ml_dtypes, which the other machine has
PACKAGES = (
    "keras", "optree", "namex", "h5py", "absl-py", "rich", "markdown-it-py", "mdurl", "pygments",
    "packaging", "typing-extensions", "pillow", "tqdm",
)  # fmt: skip
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="as of python -m dynmix_tf.train")
    parser.add_argument("--data_dir", help="folder of the data set's files")
    parser.add_argument("--num_train", type=int, help="training images, the first ones; all")
    parser.add_argument("--num_test", type=int, help="test images, the first ones; all")
    parser.add_argument("--quality", type=int, help="of JPEG, 1 to 95; without, PNG")
    parser.add_argument(
        "--output", type=Path, default=Path("bundle.tar"), help="(default: %(default)s)"
    )
    parser.add_argument(
        "--python", default="3.12", help="version on the other machine (default: %(default)s)"
    )
    parser.add_argument(
        "--platform",
        default="manylinux_2_28_x86_64",
        help="the other machine, as pip names it (default: %(default)s)",
    )
    parser.add_argument(
        "--limit_mb",
        type=float,
        default=60.0,
        help="largest bundle, megabytes (default: %(default)s)",
    )
    arguments = parser.parse_args()
    try:
        make_bundle(arguments)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def make_bundle(arguments: argparse.Namespace) -> None:
    limits = {"num_train": arguments.num_train, "num_test": arguments.num_test}
    images = data.load(arguments.dataset, arguments.data_dir, **limits)
    as_they_are = arguments.quality is None and not any(limits.values())
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        if as_they_are and arguments.dataset.endswith(".npz"):
            with np.load(arguments.dataset) as arrays:
                np.savez_compressed(bundle / "images.npz", **arrays)
        else:
            data.write_packed(bundle / "images.npz", images, arguments.quality)
        download(bundle / "wheels", arguments.python, arguments.platform)
        (bundle / "commit.txt").write_text(runs.environment("jax", [], xla=True)["commit"])
        temporary = bundle / "bundle.tar"
        with tarfile.open(temporary, "w") as archive:
            archive.add(bundle / "images.npz", "dynmix_offline/images.npz")
            for name in ("wheels", "commit.txt"):
                archive.add(bundle / name, f"dynmix_offline/{name}")
            for name in ("train.py", "methods.sh", "loop.py", "measure.py", "unpack.py"):
                archive.add(HERE / name, f"dynmix_offline/{name}")
            archive.add(HERE.parents[1] / "dynmix_tf", "dynmix_offline/dynmix_tf", filter=source)
        size = temporary.stat().st_size / 1e6
        packed = (bundle / "images.npz").stat().st_size / 1e6
        if size > arguments.limit_mb:
            raise InputError(
                f"the bundle has {size:.1f} MB, {packed:.1f} of them images, and may have "
                f"{arguments.limit_mb:g}; lower --num_train or --quality, or raise --limit_mb"
            )
        files.write_atomic(arguments.output, temporary.read_bytes())
    print(f"{arguments.output}: {size:.1f} MB, {packed:.1f} of them images")


def download(folder: Path, python: str, platform: str) -> None:
    wanted = [f"{name}=={metadata.version(name)}" for name in PACKAGES]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", f"--python-version={python}",
        f"--platform={platform}", "--platform=manylinux2014_x86_64", f"--dest={folder}", *wanted,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise InputError(
            f"pip got no wheels for --python={python} --platform={platform}: {' '.join(said[-1:])}"
        )


def source(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info


if __name__ == "__main__":
    main()
