"""Few labelled and many unlabelled images: the consistency loss needs no labels.

    python experiments/examples/unlabelled_consistency.py --num_labelled=200 --num_unlabelled=8000

The paper (section 3) has the loss penalise a network "if it predicts the same unlabeled data
inconsistently given different augmentations". Its experiments have a label for every image; here
most have none. Three networks begin with the same weights and take as many steps, with as many
labelled images in each; the last has unlabelled ones beside them:
  labels alone             cross-entropy
  labels, consistent       cross-entropy + lambda x Jensen-Shannon of the labelled images
  and unlabelled images    cross-entropy + lambda x Jensen-Shannon of all images
An unlabelled image has the label -1.
"""

import time

import keras
import numpy as np
import shared
import tensorflow as tf

import dynmix_tf as dm

SETTINGS = ("labels alone", "labels, consistent", "and unlabelled images")
LABELLED, UNLABELLED = 32, 96  # images in a step


class SemiSupervised(dm.ConsistencyModel):
    """Cross-entropy of the images that have a label, consistency of all."""

    def __init__(self, network: keras.Model, **kwargs) -> None:
        super().__init__(network, **kwargs)
        # The mean over the labelled images. Zeros for a label would not do: their loss is 0, but
        # TensorFlow's gradient of it is not.
        self.cross_entropy_loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=-1
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """`y_pred` are the logits of all views, one view after the other."""
        views = keras.ops.split(y_pred, self.num_views if training else 1)
        loss = self.cross_entropy_loss(y, views[0])
        self.cross_entropy.update_state(loss)
        if training and self.num_views > 1:
            divergence = self.consistency_loss(y, keras.ops.stack(views, axis=1))
            self.divergence.update_state(divergence)
            loss += self.consistency_weight * divergence
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The accuracy is that of the images that have a label."""
        known = keras.ops.cast(y >= 0, "float32")
        return super().compute_metrics(x, keras.ops.maximum(y, 0), y_pred, known)


def main(argv: list[str] | None = None) -> None:
    parser = shared.arguments(__doc__)
    parser.add_argument(
        "--dataset", default="fashion_mnist", help=f"as `dynmix_tf.train` takes {shared.DEFAULT}"
    )
    parser.add_argument("--num_labelled", type=shared.count, default=200, help=shared.DEFAULT)
    parser.add_argument("--num_unlabelled", type=shared.count, default=8000, help=shared.DEFAULT)
    parser.add_argument("--num_test", type=shared.count, default=500, help=shared.DEFAULT)
    parser.add_argument("--steps", type=shared.count, default=400, help=shared.DEFAULT)
    args = parser.parse_args(argv)

    total = args.num_labelled + args.num_unlabelled
    data = dm.data.load(args.dataset, num_train=total, num_test=args.num_test)
    images, labels = np.asarray(data.train_images), data.train_labels
    few, rest = slice(args.num_labelled), slice(args.num_labelled, None)
    labelled = batches(images[few], labels[few], LABELLED, args.seed)
    unlabelled = batches(images[rest], np.full_like(labels[rest], -1), UNLABELLED, args.seed)
    both = tf.data.Dataset.zip(labelled, unlabelled).map(
        lambda a, b: (tf.concat([a[0], b[0]], axis=0), tf.concat([a[1], b[1]], axis=0))
    )

    rows = []
    for setting in SETTINGS:
        started = time.process_time()
        network = dm.models.build("small_cnn", data.image_shape, data.num_classes, args.seed)
        mixes = setting != "labels alone"
        views = dm.Views(dm.DynamicMixup() if mixes else None, before=dm.StandardAugmentation())
        ds = views.over(both if setting == "and unlabelled images" else labelled, seed=args.seed)
        model = SemiSupervised(network, consistency="jsd" if mixes else "none")
        schedule = dm.optimizers.cosine_schedule(0.05, args.steps)
        model.compile(dm.optimizers.CoupledSGD(schedule, l2=5e-4))
        ds = ds.prefetch(tf.data.AUTOTUNE)
        model.fit(ds, steps_per_epoch=args.steps, shuffle=False, verbose=0)
        seconds = time.process_time() - started
        rows.append((setting, *shared.errors(network, data), seconds))
    shared.report(__file__, args.seed, rows, args.csv)


def batches(images: np.ndarray, labels: np.ndarray, size: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches without end."""
    ds = tf.data.Dataset.from_tensor_slices((images, labels))
    return ds.shuffle(len(images), seed=seed).repeat().batch(size)


if __name__ == "__main__":
    shared.run(main)
