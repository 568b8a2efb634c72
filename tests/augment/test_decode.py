"""Decoding fused with the crop, against decoding the whole file and cropping then."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dynmix_tf import randomness
from dynmix_tf.augment.standard import StandardAugmentation
from dynmix_tf.data.image_files import rgb_image
from dynmix_tf.errors import InputError

KEYS = randomness.example_keys((3, 4), tf.range(8))


@pytest.fixture
def photo(photo_crops):
    return photo_crops(240, 1)[0][:, :200]


@pytest.fixture
def layer():
    return StandardAugmentation(crop="resized", size=(64, 48))


def encoded(image, ending, **options):
    buffer = io.BytesIO()
    image.save(buffer, ending, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg(photo, layer, mode, options):
    content = encoded(Image.fromarray(photo).convert(mode), "JPEG", quality=90, **options)
    with Image.open(io.BytesIO(content)) as file:
        whole = np.asarray(file.convert("RGB"))
    for key in KEYS:
        got = layer.decode(content, key).numpy().astype(int)
        want = layer.augment(whole[None], key[None]).numpy()[0]
        assert got.shape == (64, 48, 3)
        # colours are smoothed across the border of the part, elsewhere all is the same
        np.testing.assert_array_equal(got[4:-4, 4:-4], want[4:-4, 4:-4])
        assert np.abs(got - want).mean() < 0.5


@pytest.mark.parametrize("ending", ["PNG", "WEBP", "BMP", "GIF"])
def test_other_formats_are_decoded_and_cropped(photo, layer, ending):
    options = {"lossless": True} if ending == "WEBP" else {}
    content = encoded(Image.fromarray(photo), ending, **options)
    with Image.open(io.BytesIO(content)) as file:
        whole = np.asarray(file.convert("RGB"))
    for key in KEYS:
        want = layer.augment(whole[None], key[None])[0]
        np.testing.assert_array_equal(layer.decode(content, key), want)


@pytest.mark.parametrize("kind", ["palette BMP", "1-bit BMP", "transparent WebP", "16-bit PNG"])
def test_what_tensorflow_reads_otherwise_is_as_in_the_tests(photo, layer, kind):
    """Training and testing see the same pixels, whatever the file."""
    image = Image.fromarray(photo)
    if kind == "palette BMP":
        content = encoded(image.quantize(64), "BMP")
    elif kind == "1-bit BMP":
        content = encoded(image.convert("1"), "BMP")
    elif kind == "transparent WebP":
        image.putalpha(128)
        content = encoded(image, "WEBP", lossless=True)
    else:
        grey = np.asarray(image.convert("L")).astype(np.uint16)
        content = encoded(Image.fromarray(257 * grey), "PNG")
    whole = np.asarray(rgb_image(content))
    close = np.asarray(image.convert("L" if kind == "16-bit PNG" else "RGB").convert("RGB"))
    assert kind == "1-bit BMP" or np.abs(whole.astype(int) - close).mean() < 12
    ds = tf.data.Dataset.from_tensors((content, KEYS[0])).map(layer.decode)
    for key, got in ((KEYS[0], next(iter(ds))), (KEYS[1], layer.decode(content, KEYS[1]))):
        np.testing.assert_array_equal(got, layer.augment(whole[None], key[None])[0])


def test_decoding_stays_parallel_where_runs_are_deterministic(layer):
    """TensorFlow runs one after another there what holds a stateful operation, used or not."""
    content = tf.TensorSpec([], tf.string)
    graph = tf.function(lambda x: layer.decode(x, KEYS[0])).get_concrete_function(content).graph
    nodes = [node for part in graph.as_graph_def().library.function for node in part.node_def]
    assert {node.op for node in nodes if "Py" in node.op} == {"PyFuncStateless"}


def test_cmyk(photo, layer):
    """As one of ImageNet's training images is."""
    content = encoded(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95)
    for key in KEYS[:3]:
        got = layer.decode(content, key).numpy().astype(int)
        want = layer.augment(photo[None], key[None]).numpy()[0]
        assert np.abs(got - want).mean() < 12


def test_without_a_size(photo):
    with pytest.raises(InputError, match='needs crop="resized" and a `size`'):
        StandardAugmentation(crop="resized").decode(tf.io.encode_jpeg(photo), KEYS[0])
