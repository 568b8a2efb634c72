"""Does robustness transfer? Pretraining with and without Dynamic Mixup, then fine-tuning.

    python experiments/examples/transfer_learning.py
    python experiments/examples/transfer_learning.py --target=photos

The paper's conclusion foresees that Dynamic Mixup will help transfer learning; it has no
experiment on it. Here a network learns half of the classes of a data set, without or with it, and
is fine-tuned on a few images of the other half (or of --target), without or with it; the third
start is a network that has learned nothing. All are scored on the classes that they were
fine-tuned on.
"""

from dataclasses import replace

import keras
import numpy as np
import shared

import dynmix_tf as dm


def main(argv: list[str] | None = None) -> None:
    parser = shared.arguments(__doc__)
    parser.add_argument(
        "--source", default="fashion_mnist", help=f"as `train --dataset` {shared.DEFAULT}"
    )
    parser.add_argument("--target", help="as --source (default: the source's other classes)")
    parser.add_argument(
        "--num_train", type=shared.count, default=8000, help=f"of the source {shared.DEFAULT}"
    )
    parser.add_argument(
        "--num_finetune", type=shared.count, default=200, help=f"of the target {shared.DEFAULT}"
    )
    parser.add_argument(
        "--num_test", type=shared.count, default=1000,
        help=f"of all classes; half of them are left without --target {shared.DEFAULT}",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=shared.count, default=8, help=f"of pretraining {shared.DEFAULT}"
    )
    parser.add_argument("--finetune_epochs", type=shared.count, default=40, help=shared.DEFAULT)
    args = parser.parse_args(argv)

    source = dm.data.load(args.source, num_train=args.num_train, num_test=args.num_test)
    if args.target:
        target = dm.data.load(args.target, num_train=args.num_finetune, num_test=args.num_test)
    else:
        first, second = np.array_split(np.arange(source.num_classes), 2)
        target = of_classes(source, second).limited(num_train=args.num_finetune)
        source = of_classes(source, first)

    rows = []
    for start in (*shared.METHODS, "nothing"):
        pretrained = dm.models.build("small_cnn", source.image_shape, source.num_classes, args.seed)
        if start != "nothing":
            shared.fit(pretrained, source, start, args.epochs, args.seed)
        for method in shared.METHODS:
            network = with_new_logits(pretrained, target.num_classes, args.seed)
            seconds = shared.fit(
                network, target, method, args.finetune_epochs, args.seed, learning_rate=0.05
            )
            rows.append((f"{start}, then {method}", *shared.errors(network, target), seconds))
    shared.report(__file__, args.seed, rows, args.csv)


def of_classes(data: dm.data.ImageData, classes: np.ndarray) -> dm.data.ImageData:
    """The images of some classes, which are numbered anew from 0."""
    parts = {}
    for split in ("train", "test"):
        images, labels = getattr(data, f"{split}_images"), getattr(data, f"{split}_labels")
        chosen = np.isin(labels, classes)
        parts[f"{split}_images"] = images[chosen]
        parts[f"{split}_labels"] = np.searchsorted(classes, labels[chosen]).astype("int32")
    return replace(data, **parts, class_names=tuple(data.class_names[label] for label in classes))


def with_new_logits(pretrained: keras.Model, num_classes: int, seed: int) -> keras.Model:
    """A copy of a network, with a fresh last layer."""
    copy = keras.models.clone_model(pretrained)
    copy.set_weights(pretrained.get_weights())
    features = keras.Model(copy.inputs, copy.layers[-2].output)
    return dm.models.wrap(features, num_classes, seed=seed)


if __name__ == "__main__":
    shared.run(main)
