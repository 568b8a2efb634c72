"""A backbone of keras.applications, fine-tuned with and without Dynamic Mixup.

    python experiments/examples/finetune_backbone.py --weights=imagenet --backbone=ResNet50V2
    python experiments/examples/finetune_backbone.py --weights=backbone.weights.h5

`dm.models.wrap` puts what the backbone expects of its images before it, and logits behind it.
First only the logits learn, then all weights, at half the learning rate. Without --weights the
backbone is pretrained here, on Fashion-MNIST: that shows the way, and says nothing about what
ImageNet's weights would give.
"""

import warnings
from pathlib import Path

import keras
import shared

import dynmix_tf as dm
from dynmix_tf.errors import InputError

# What each expects of images in 0..255; None: it does that itself.
BACKBONES = {
    "MobileNet": (1 / 127.5, -1.0),
    "MobileNetV2": (1 / 127.5, -1.0),
    "ResNet50V2": (1 / 127.5, -1.0),
    "EfficientNetV2B0": None,
    "ConvNeXtTiny": None,
}


def main(argv: list[str] | None = None) -> None:
    parser = shared.arguments(__doc__)
    parser.add_argument("--backbone", choices=BACKBONES, default="MobileNet", help=shared.DEFAULT)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", help="its file (without the top), or imagenet: downloaded")
    source.add_argument(
        "--num_pretrain", type=shared.count, default=6000, help=f"Fashion-MNIST's {shared.DEFAULT}"
    )
    parser.add_argument(
        "--dataset", default="photos", help=f"as `python -m dynmix_tf.train` takes {shared.DEFAULT}"
    )
    parser.add_argument("--num_train", type=shared.count, default=1800, help=shared.DEFAULT)
    parser.add_argument("--num_test", type=shared.count, default=450, help=shared.DEFAULT)
    parser.add_argument("--epochs", type=shared.count, default=12, help=shared.DEFAULT)
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/examples/finetune"), help=shared.DEFAULT
    )
    args = parser.parse_args(argv)
    args.output_dir.mkdir(parents=True, exist_ok=True)

    weights = args.weights
    if weights is None:
        images = dm.data.load("fashion_mnist", num_train=args.num_pretrain)
        keras.utils.set_random_seed(args.seed)
        backbone = make_backbone(args.backbone, images.image_shape)
        network = wrap(backbone, args.backbone, images.num_classes, args.seed)
        shared.fit(network, images, "Standard", epochs=4, seed=args.seed)
        weights = args.output_dir / "backbone.weights.h5"
        backbone.save_weights(weights)

    data = dm.data.load(args.dataset, num_train=args.num_train, num_test=args.num_test)
    rows = []
    for method in shared.METHODS:
        backbone = make_backbone(args.backbone, data.image_shape, weights)
        network = wrap(backbone, args.backbone, data.num_classes, args.seed)
        backbone.trainable = False  # its BatchNorm keeps its averages, too
        seconds = shared.fit(network, data, method, max(1, args.epochs // 4), args.seed)
        backbone.trainable = True  # each `fit` compiles anew, so this counts
        seconds += shared.fit(network, data, method, args.epochs, args.seed, learning_rate=0.05)
        rows.append((method, *shared.errors(network, data), seconds))
        network.save(args.output_dir / f"{method.replace(' ', '_').lower()}.keras")
    shared.report(__file__, args.seed, rows, args.csv)


def make_backbone(name: str, image_shape: tuple, weights: str | Path | None = None) -> keras.Model:
    """The network without its top; with weights of a file, "imagenet", or fresh ones."""
    try:
        backbone = getattr(keras.applications, name)(
            input_shape=image_shape,
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
        )
        if weights not in (None, "imagenet"):
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # Keras only warns of what it lacks
                backbone.load_weights(weights)
    except Exception as error:  # Keras raises many kinds: no network, no file, another backbone's
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"cannot make {name} with weights {weights}: {reason}") from None
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.99 would average over more steps than fine-tuning has
    return backbone


def wrap(backbone: keras.Model, name: str, num_classes: int, seed: int) -> keras.Model:
    """The backbone as a classifier of images 0..255."""
    scale = BACKBONES[name]
    preprocess = keras.layers.Rescaling(*scale) if scale else None
    return dm.models.wrap(backbone, num_classes, preprocess=preprocess, seed=seed)


if __name__ == "__main__":
    shared.run(main)
