"""Export, serving with TensorFlow alone, and the same errors from the command that scores models.

    python experiments/examples/serve_saved_model.py
    python experiments/examples/serve_saved_model.py --model=runs/a/final.keras --dataset=photos

A network is trained (or loaded) and exported. Then two other processes score the SavedModel on the
same images: one that has never imported this package, as a server would run, and
`python -m dynmix_tf.evaluate`. They must make the same number of errors, condition by condition.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import shared

import dynmix_tf as dm
from dynmix_tf import results

# All that a server needs: TensorFlow, the folder, and uint8 images. What is loaded is kept in a
# variable, as its weights live as long as it does.
SERVER = """
import sys
import numpy as np
import tensorflow as tf

export, images_file, answers_file = sys.argv[1:]
served = tf.saved_model.load(export)
images = np.load(images_file)
answers = {name: served.serve(images[name]).numpy() for name in images.files}
np.savez(answers_file, **answers)
print(f"served {len(answers)} batches; dynmix_tf imported: {'dynmix_tf' in sys.modules}")
"""


def main(argv: list[str] | None = None) -> None:
    parser = shared.arguments(__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", type=Path, help="a .keras file (default: trained here)")
    source.add_argument("--num_train", type=shared.count, default=6000, help=shared.DEFAULT)
    parser.add_argument(
        "--dataset", default="fashion_mnist", help=f"what the model was trained on {shared.DEFAULT}"
    )
    parser.add_argument("--num_test", type=shared.count, default=500, help=shared.DEFAULT)
    parser.add_argument(
        "--corruptions",
        default="gaussian_noise,motion_blur,fog,jpeg_compression",
        help=shared.DEFAULT,
    )
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/examples/serve"), help=shared.DEFAULT
    )
    args = parser.parse_args(argv)

    # 1. A network, and its export: `serve` takes uint8 and gives probabilities.
    num_train = None if args.model else args.num_train
    data = dm.data.load(args.dataset, num_train=num_train, num_test=args.num_test)
    if args.model:
        network, seconds = dm.load_model(args.model), 0.0
    else:
        network = dm.models.build("small_cnn", data.image_shape, data.num_classes, args.seed)
        seconds = shared.fit(network, data, "Dynamic Mixup", epochs=8, seed=args.seed)
    export = args.output_dir / "export"
    dm.export_saved_model(network, export)

    benchmark = dm.GeneratedBenchmark(
        data.test_images, data.test_labels, names=args.corruptions.split(",")
    )
    with tempfile.TemporaryDirectory() as folder:
        wrong = {
            "server": errors_of_server(export, benchmark, Path(folder)),
            "evaluate": errors_of_command(export, args, Path(folder)),
        }
    rows = []
    for setting, counts in wrong.items():
        clean, *corrupted = (100 * number / len(benchmark) for number in counts.values())
        rows.append((setting, clean, float(np.mean(corrupted)), seconds))
    shared.report(__file__, args.seed, rows, args.csv)
    if wrong["server"] != wrong["evaluate"]:
        raise SystemExit(f"the server and `evaluate` make other errors: {wrong}")
    print(f"as many errors under all {len(benchmark.conditions)} conditions; export: {export}")


def errors_of_server(export: Path, benchmark: dm.GeneratedBenchmark, folder: Path) -> dict:
    """2. A process that is sent images and sends back probabilities; the errors in each condition.

    Returns:
        Number of errors by (corruption, severity).
    """
    sent = {
        f"{name} {severity}": np.concatenate([x for x, _ in benchmark.batches(name, severity)])
        for name, severity in benchmark.conditions
    }
    images, answers = folder / "images.npz", folder / "answers.npz"
    np.savez(images, **sent)
    subprocess.run([sys.executable, "-c", SERVER, export, images, answers], check=True)
    served = np.load(answers)
    return {
        (name, severity): int((served[f"{name} {severity}"].argmax(-1) != benchmark.labels).sum())
        for name, severity in benchmark.conditions
    }


def errors_of_command(export: Path, args, folder: Path) -> dict:
    """3. The command, which makes the same images by itself; its errors, as of the server."""
    command = [sys.executable, "-m", "dynmix_tf.evaluate", f"--model={export}"]
    command += [f"--dataset={args.dataset}", f"--num_test={args.num_test}"]
    command += [f"--corruptions={args.corruptions}", f"--output_dir={folder}"]
    subprocess.run(command, check=True)
    return {
        (row["corruption"], row["severity"]): round(row["error"] * row["num_images"])
        for row in results.read(folder / "robustness.csv")
    }


if __name__ == "__main__":
    shared.run(main)
