"""Each method by its name: what it shows the network, what learns, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dynmix_tf import AdversarialModel, data, engine, pipeline, randomness, runs
from dynmix_tf.augment import overlapping_corruptions
from dynmix_tf.augment.policies import OVERLAPPING
from dynmix_tf.config import TrainConfig
from dynmix_tf.errors import InputError
from dynmix_tf.methods import METHODS
from dynmix_tf.model_from_config import model_from_config

SETTINGS = {"dataset": "photos", "batch_size": 24, "epochs": 1, "seed": 3}


@pytest.fixture(scope="module")
def photos():
    return data.load("photos", num_train=48, num_test=9)


@pytest.fixture(scope="module")
def numbered(photos):
    """The photographs with a class for each image, so that a label tells the image."""
    labels = np.arange(48, dtype="int32")
    return data.ImageData(
        "numbered", photos.train_images, labels, photos.test_images, photos.test_labels,
        tuple(map(str, labels)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def stylized(photos, tmp_path_factory):
    """Two images of each class in the layout of Stylized-ImageNet, and one of validation."""
    root = tmp_path_factory.mktemp("stylized")
    for split, count in (("train", 2), ("val", 1)):
        for label, name in enumerate(photos.class_names):
            (root / split / name).mkdir(parents=True)
            for number, image in enumerate(
                photos.train_images[photos.train_labels == label][:count]
            ):
                inverted = Image.fromarray(255 - image).resize((224, 224))
                inverted.save(root / split / name / f"{number}.png")
    return root


def batch(config, images, start=0):
    return tf.nest.map_structure(
        np.asarray, next(iter(pipeline.training_dataset(config, images, start)))
    )


def of(method, **settings):
    return TrainConfig(**{**SETTINGS, "method": method, **settings})


def test_mixup_adds_images_and_labels_by_one_weight(numbered):
    originals, order = batch(of("standard"), numbered)
    images, labels = batch(of("mixup"), numbered)
    assert images.shape == (24, 32, 32, 3) and labels.shape == (24, 48)
    place = {label: number for number, label in enumerate(order)}
    partners = []
    for number, (image, row) in enumerate(zip(images, labels, strict=True)):
        own, found = order[number], np.flatnonzero(row)
        np.testing.assert_allclose(row.sum(), 1, atol=1e-6)
        assert own in found and len(found) <= 2
        partner = place[found[found != own][0]] if len(found) == 2 else number
        weight = float(row[own])
        want = weight * originals[number].astype(float) + (1 - weight) * originals[partner]
        np.testing.assert_allclose(image, want, atol=1e-3)
        partners.append(partner)
    assert sorted(partners) == list(range(24)) and partners != sorted(partners)


def test_cutmix_pastes_a_box_and_counts_its_pixels(numbered):
    originals, order = batch(of("standard"), numbered)
    images, labels = batch(of("cutmix", cutmix_probability=1.0), numbered)
    place = {label: number for number, label in enumerate(order)}
    pasted = 0
    for number, (image, row) in enumerate(zip(images, labels, strict=True)):
        found = np.flatnonzero(row)
        others = found[found != order[number]]
        if not len(others):
            np.testing.assert_array_equal(image, originals[number])
            continue
        (partner,) = (place[label] for label in others)
        area = round((1 - row[order[number]]) * 32 * 32)
        differs = (image != originals[number]).any(-1)
        same = (image == originals[partner]).all(-1)
        assert not (differs & ~same).any()  # every pixel is of one of the two
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        if len(rows):  # a box of that area from the partner, which holds all that differs
            top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
            assert (bottom - top) * (right - left) <= area
            assert same[top:bottom, left:right].all()
            pasted += (bottom - top) * (right - left) == area
    assert pasted >= 10  # where the two agree at a border, it looks smaller

    _, half = batch(of("cutmix"), numbered)
    whole = (half.max(axis=1) == 1).sum()
    assert 5 <= whole <= 20  # the default mixes every other image


@pytest.mark.parametrize("method", ["mixup", "cutmix", "autoaugment"])
def test_the_stream_starts_at_any_step(numbered, method):
    ds = pipeline.training_dataset(of(method), numbered)
    whole = [tf.nest.map_structure(np.asarray, element) for element in ds.take(3)]
    for got, want in zip(batch(of(method), numbered, start=2), whole[2], strict=True):
        np.testing.assert_array_equal(got, want)
    assert (whole[0][0] != whole[2][0]).any()


@pytest.mark.parametrize(
    ("config", "side", "name", "policy"),
    [
        (of("autoaugment"), 32, "AutoAugment", "cifar10*"),
        (of("autoaugment"), 224, "AutoAugment", "imagenet*"),
        (of("autoaugment", policy="imagenet*"), 32, "AutoAugment", "imagenet*"),
        (of("random_autoaugment"), 32, "RandomAutoAugment", None),
    ],
)
def test_starred_policies_have_nothing_that_overlaps(config, side, name, policy):
    views = pipeline.make_views(config, None, (side, side, 3), 9)
    assert (views.num_views, views.original) == (1, False)
    assert type(views.layer).__name__ == name and getattr(views.layer, "policy", None) == policy
    used = {
        operation for steps in getattr(views.layer, "sub_policies", ()) for operation, _, _ in steps
    } or {*views.layer.operations}
    assert len(used) == len(views.layer.operation_layers) >= 7
    assert not used & set(OVERLAPPING) and not overlapping_corruptions(tuple(used))


def test_policies_come_after_the_shared_crop(numbered):
    originals, _ = batch(of("standard"), numbered)
    images, labels = batch(of("autoaugment"), numbered)
    keys = randomness.example_keys(tf.constant([3, 0], tf.int64), tf.range(24, dtype=tf.int64))
    layer = METHODS["autoaugment"].layer(of("autoaugment"), (32, 32, 3), 48)
    want = layer.augment(tf.constant(originals.astype("uint8")), randomness.fold(keys, 1))
    np.testing.assert_array_equal(images, want)
    assert labels.dtype == "int32" and (images != originals).any(axis=(1, 2, 3)).mean() > 0.3


@pytest.mark.parametrize("method", ["augmix", "dynmix"])
@pytest.mark.parametrize("consistency", [None, "jsd_single", "none"])
def test_modes_of_consistency(numbered, method, consistency):
    config = of(method, consistency=consistency)
    views, labels = batch(config, numbered)
    originals, _ = batch(of("standard"), numbered)
    assert labels.dtype == "int32"
    if consistency == "none":
        assert views.shape == originals.shape and (views != originals).mean() > 0.5
        return
    assert len(views) == (3 if consistency is None else 2)
    np.testing.assert_array_equal(views[0], originals)
    for view in views[1:]:
        assert (view != originals).mean() > 0.5
    if consistency is None:
        assert config.consistency == "jsd" and (views[1] != views[2]).mean() > 0.5


def test_own_values():
    decays = {name: of(name, **({"sin_dir": "x"} if name == "sin" else {})).l2 for name in METHODS}
    assert decays.pop("mixup") == 1e-4 and set(decays.values()) == {5e-4}
    assert of("mixup", l2=3e-4).l2 == 3e-4 and of("standard", l2=0.0).l2 == 0
    augmix = pipeline.make_views(of("augmix"), None, (32, 32, 3), 9).layer
    assert (augmix.operations, augmix.width, augmix.depth) == ("augmix", 3, -1)
    dynmix = pipeline.make_views(of("dynmix", mixing="linear"), None, (32, 32, 3), 9).layer
    assert (dynmix.operations, dynmix.num_chains, dynmix.mixing) == ("standard", 2, "linear")
    assert of("mixup").operations is None and of("mixup").consistency == "none"


def test_adversarial_settings_reach_the_attack(photos):
    config = of("adversarial", attack_epsilon=6.0, attack_step_size=1.5, attack_steps=3)
    model = model_from_config(config, (32, 32, 3), 9, steps=2)
    assert isinstance(model, AdversarialModel)
    assert (model.epsilon, model.step_size, model.num_steps, model.seed) == (6, 1.5, 3, 3)
    default = model_from_config(of("adversarial"), (32, 32, 3), 9, steps=2)
    assert (default.epsilon, default.step_size, default.num_steps) == (8, 2, 10)
    images, labels = batch(config, photos)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    attacked = model.attack(images, labels)
    assert np.abs(attacked - images).max() <= 6 + 1e-4
    # a random point of the same ball is what the attack starts from
    model.num_steps = 0
    start = model.attack(images, labels)
    worst, before = (float(loss(labels, model.network(x))) for x in (attacked, start))
    assert worst > before


def test_sin_trains_on_both_sets(photos, stylized):
    config = of("sin", sin_dir=str(stylized), num_train=48)
    with pytest.raises(InputError, match="18 images; --num_train=48"):
        runs.load_training_data(config)
    whole = runs.load_training_data(of("sin", sin_dir=str(stylized)))
    assert len(whole.train_images) == 4500 + 18
    both = data.add_stylized(photos, stylized)
    assert len(both.train_images) == 48 + 18 and len(both.test_images) == 9
    np.testing.assert_array_equal(both.train_images[:48], photos.train_images)
    for image, label in zip(both.train_images[48:], both.train_labels[48:], strict=True):
        originals = photos.train_images[photos.train_labels == label][:2]
        distance = np.abs(255.0 - originals - image).mean(axis=(1, 2, 3))
        assert distance.min() < 6  # enlarged to 224 px, and reduced again
    limited = data.add_stylized(photos, stylized, num_train=9)
    np.testing.assert_array_equal(limited.train_images, both.train_images[:57])
    counted = replace(
        both, train_labels=np.arange(66, dtype="int32"), class_names=tuple(map(str, range(66)))
    )
    ds = pipeline.training_dataset(of("sin", sin_dir="x", batch_size=22), counted)
    seen = np.concatenate([labels for _, labels in ds.take(3).as_numpy_iterator()])
    assert sorted(seen) == list(range(66))  # an epoch has every image of both once


def test_sin_from_files(photos, stylized, tmp_path):
    for split in ("train", "val"):
        for label, name in enumerate(photos.class_names):
            path = tmp_path / split / name
            path.mkdir(parents=True)
            image = Image.fromarray(photos.train_images[label]).resize((100, 120))
            image.save(path / "1.JPEG")
    originals = data.load("folder", tmp_path, image_size=96)
    both = data.add_stylized(originals, stylized)
    assert len(both.train_images) == 27 and both.train_images.shape[1:] == (96, 96, 3)
    images, labels = batch(of("sin", sin_dir="x", batch_size=27), both)
    assert images.shape == (27, 96, 96, 3) and sorted(labels) == sorted(both.train_labels)


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("train", "create_stylized_imagenet.sh"),
        ("train/coffee", "coffee'; expected one for each class"),
        ("train/coffee/*", "coffee' holds no file"),
    ],
)
def test_a_folder_that_is_not_stylized_imagenet(photos, tmp_path, remove, message):
    for name in photos.class_names:
        if not f"train/{name}".startswith(remove):
            (tmp_path / "train" / name).mkdir(parents=True)
            if not remove.startswith(f"train/{name}"):
                Image.fromarray(photos.test_images[0]).save(tmp_path / "train" / name / "1.png")
    with pytest.raises(InputError, match=message):
        data.add_stylized(photos, tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "mixup"},
        {"method": "cutmix"},
        {"method": "autoaugment"},
        {"method": "random_autoaugment"},
        {"method": "adversarial", "attack_steps": 2},
        {"method": "sin"},
        {"method": "augmix"},
        {"method": "augmix", "consistency": "none"},
    ],
    ids=str,
)
def test_every_method_trains(settings, photos, stylized, tmp_path):
    if settings["method"] == "sin":
        settings = {**settings, "sin_dir": str(stylized)}
    config = TrainConfig(**{**SETTINGS, **settings})
    runs.open_run(config, tmp_path / "run")
    images = data.add_stylized(photos, stylized) if config.sin_dir else photos
    network = engine.train(config, images, tmp_path / "run")
    assert np.isfinite(network.predict_on_batch(photos.test_images)).all()
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["method"] == config.method and record["l2"] == config.l2
    (line,) = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert np.isfinite(line["loss"])
    assert ("js" in line) == (config.consistency != "none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "standard", "alpha": 0.2}, "with --method=mixup or cutmix or augmix or dynmix"),
        ({"method": "mixup", "operations": "standard"}, "--operations=standard would do nothing"),
        ({"method": "mixup", "num_chains": 3}, "--num_chains=3 would do nothing"),
        ({"method": "mixup", "consistency": "jsd"}, "has one view, so no --consistency=jsd"),
        ({"method": "augmix", "mixing": "linear"}, "use it with --method=dynmix"),
        ({"method": "dynmix", "policy": "cifar10*"}, "use it with --method=autoaugment"),
        ({"method": "dynmix", "attack_steps": 3}, "use it with --method=adversarial"),
        ({"method": "dynmix", "sin_dir": "x"}, "use it with --method=sin"),
        ({"consistency": "none", "consistency_weight": 3.0}, "with --consistency=none"),
        ({"method": "sin"}, r"needs --sin_dir=FOLDER.*0\.5 for `--alpha`"),
        ({"method": "cutmix", "cutmix_probability": 1.5}, "must be in .0, 1.. Received: 1.5"),
        ({"method": "adversarial", "attack_epsilon": 300.0}, "must be in .0, 255."),
        ({"method": "mixap"}, "unknown --method 'mixap'; did you mean 'mixup'"),
        ({"consistency": "jds"}, "unknown --consistency 'jds'; did you mean 'jsd'"),
    ],
)
def test_settings_that_a_method_does_not_have(settings, message):
    with pytest.raises(InputError, match=message) as caught:
        TrainConfig(**settings)
    assert "\n" not in str(caught.value)
