"""Builds every recipe at full size, network and stream, and takes one step with two images.

python experiments/one_step.py              all recipes, one after the other
python experiments/one_step.py table_1 sin  those whose names hold one of these words

The images are the photographs of `photos`: in memory in place of CIFAR's, and for ImageNet in its
folder layout, a folder for each of 1,000 synsets. Recipes that need the same work are done once.
"""

import argparse
import dataclasses
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import logging
from paper_tables import TABLES, Run, settings
from recipes import file_name

from dynmix_tf import commands
from dynmix_tf.config import TrainConfig

SYNSETS = [f"n{number:08d}" for number in range(1_000)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="parts of the names of recipes; all without any")
    words = parser.parse_args().words
    logging.set_verbosity(logging.ERROR)  # TensorFlow warns of a new trace for each network
    commands.load_tensorflow()
    chosen = dict.fromkeys(
        (file_name(number, run), run)
        for number, table in TABLES.items()
        for run in table.runs()
        if not words or any(word in file_name(number, run) for word in words)
    )
    done: dict[Any, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in chosen:
            key = tuple(settings(run).items())
            if key in done:
                print(f"{name}: as {done[key]}", flush=True)
                continue
            started = time.monotonic()
            loss = one_step(run, Path(folder))
            done[key] = name
            print(f"{name}: loss {loss:.2f}, {time.monotonic() - started:.0f} s", flush=True)


def one_step(run: Run, folder: Path) -> float:
    """The loss of one step with two images, in which every trainable weight moves."""
    import keras
    import numpy as np

    from dynmix_tf import pipeline, runs
    from dynmix_tf.model_from_config import model_from_config

    keras.backend.clear_session()
    flags = {name: value for name, value in settings(run).items() if name != "robustness_every"}
    config = TrainConfig(**{**flags, "batch_size": 2})
    if run.dataset == "imagenet2012":
        write_imagenet(folder)
        places = {"data_dir": str(folder / "imagenet")}
        if config.sin_dir:
            places["sin_dir"] = str(folder / "stylized")
        config = dataclasses.replace(config, **places)
        images = runs.load_training_data(config)
    else:
        images = like_cifar(100 if run.dataset == "cifar100" else 10)
    steps = -(-len(images.train_images) // config.batch_size)
    model = model_from_config(config, images.image_shape, images.num_classes, steps)
    if config.warmup_epochs:  # whose first step has the rate 0
        model.optimizer.iterations.assign(steps)
    before = [weight.numpy() for weight in model.trainable_variables]
    ds = pipeline.training_dataset(config, images)
    history = model.fit(ds, steps_per_epoch=1, epochs=1, shuffle=False, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if not (variable.numpy() != old).any():
            raise SystemExit(f"{run.name}: {variable.path} did not move")
    (loss,) = history.history["loss"]
    if not np.isfinite(loss):
        raise SystemExit(f"{run.name}: the loss is {loss}")
    return loss


def like_cifar(num_classes: int) -> Any:
    """Photographs of 32 px, as a data set of so many classes."""
    from dynmix_tf import data

    photos = data.load("photos", num_train=18, num_test=9)
    return dataclasses.replace(photos, class_names=tuple(map(str, range(num_classes))))


def write_imagenet(folder: Path) -> None:
    """`imagenet/` in ImageNet's layout and `stylized/` in Stylized-ImageNet's, of 9 photographs."""
    from PIL import Image

    from dynmix_tf.data.photos import photographs

    for root, ending in (("imagenet", "JPEG"), ("stylized", "png")):
        if (folder / root).exists():
            continue
        part = folder / f".{root}"  # renamed when it is whole
        shutil.rmtree(part, ignore_errors=True)
        sources = []
        for number, photograph in enumerate(photographs()):
            path = part / "photographs" / f"{number}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(photograph)
            image.thumbnail((500, 500))
            image.save(path)
            sources.append(path)
        for split in ("train", "val"):
            for number, synset in enumerate(SYNSETS):
                place = part / split / synset
                place.mkdir(parents=True)
                os.link(sources[number % len(sources)], place / f"{synset}_1.{ending}")
        part.rename(folder / root)


if __name__ == "__main__":
    main()
