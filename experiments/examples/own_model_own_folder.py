"""Your own Keras model on your own folder of images: views, training, watching, export.

    python experiments/examples/own_model_own_folder.py --folder=birds --image_size=64

The folder holds `train/<class>/*` and `val/<class>/*`, or `<class>/*` alone (then about one file
in ten is for testing). Without --folder one is written first: patches of photographs, in nine
classes. The same network is trained twice, without and with Dynamic Mixup, and scored under 15
corruptions in the middle and at the end.
"""

import time
from pathlib import Path

import keras
import numpy as np
import shared
import tensorflow as tf
from PIL import Image

import dynmix_tf as dm

NUM_TRAIN, NUM_TEST = 2700, 450  # patches, without --folder


def my_network(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Any model will do that takes images 0..255 and returns logits: no softmax at its end."""
    layers = keras.layers
    image = keras.Input(image_shape)
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for filters in (24, 48, 96):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(num_classes)(x))


def main(argv: list[str] | None = None) -> None:
    parser = shared.arguments(__doc__)
    parser.add_argument("--folder", type=Path, help="class folders (default: patches of photos)")
    parser.add_argument(
        "--image_size", type=shared.count, default=32, help=f"side in pixels {shared.DEFAULT}"
    )
    parser.add_argument("--epochs", type=shared.count, default=16, help=shared.DEFAULT)
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/examples/own_model"), help=shared.DEFAULT
    )
    args = parser.parse_args(argv)

    folder = args.folder or write_folder(args.output_dir / "photos")
    data = dm.data.load("folder", folder, image_size=args.image_size)
    # All in memory. For more images than that: `python -m dynmix_tf.train --dataset=FOLDER`
    images, labels = np.asarray(data.train_images), data.train_labels
    benchmark = dm.GeneratedBenchmark(
        data.test_images, data.test_labels, num_classes=data.num_classes
    )
    print(f"{len(images)} training images, {len(benchmark)} for testing: {data.class_names}")

    rows = []
    for method in shared.METHODS:
        started = time.process_time()
        keras.utils.set_random_seed(args.seed)  # both begin with the same weights
        network = my_network(data.image_shape, data.num_classes)

        # 1. Batches of images become batches of views, drawn anew in every epoch.
        mixes = method == "Dynamic Mixup"
        views = dm.Views(dm.DynamicMixup() if mixes else None, before=dm.StandardAugmentation())
        ds = tf.data.Dataset.from_tensor_slices((images, labels))
        ds = ds.shuffle(len(images), seed=args.seed)
        # a smaller batch at the end would be compiled on its own
        ds = ds.batch(min(64, len(images)), drop_remainder=True)
        ds = views.over(ds, seed=args.seed).prefetch(tf.data.AUTOTUNE)

        # 2. The model adds the loss: cross-entropy on the image, consistency over its views.
        model = dm.ConsistencyModel(network, consistency="jsd" if mixes else "none")
        schedule = dm.optimizers.cosine_schedule(0.1, args.epochs * len(ds))
        model.compile(dm.optimizers.CoupledSGD(schedule, l2=5e-4))

        # 3. Keras' own `fit`, watched under corruption. The data set shuffles itself, and Keras
        # would warn that it does not.
        results = args.output_dir / method.replace(" ", "_").lower()
        watch = dm.callbacks.RobustnessEvaluation(
            benchmark, every=max(1, args.epochs // 2), csv_path=results / "robustness.csv"
        )
        model.fit(ds, epochs=args.epochs, shuffle=False, verbose=0, callbacks=[watch])
        logs = {name: values[-1] for name, values in model.history.history.items()}
        seconds = time.process_time() - started
        rows.append((method, 100 * logs["clean_error"], 100 * logs["corruption_error"], seconds))

        # 4. For serving, without this package.
        dm.export_saved_model(model, results / "export")
    shared.report(__file__, args.seed, rows, args.csv)
    print(f"models and the error of every corruption: {args.output_dir}")


def write_folder(root: Path) -> Path:
    """What a user has: image files in a folder for each class."""
    photos = dm.data.load("photos", num_train=NUM_TRAIN, num_test=NUM_TEST)
    for split, images, labels in (
        ("train", photos.train_images, photos.train_labels),
        ("val", photos.test_images, photos.test_labels),
    ):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = root / split / photos.class_names[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return root


if __name__ == "__main__":
    shared.run(main)
