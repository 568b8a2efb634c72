import keras
import numpy as np
import pytest
import scipy.signal

from dynmix_tf import models


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters"),
    [
        ("wrn_40_2", 10, 2_243_546),
        ("wrn_40_2", 100, 2_255_156),
        # Zagoruyko and Komodakis (2016) print 8.9 and 11.0 million for these.
        ("wrn_40_4", 10, 8_949_210),
        ("wrn_16_8", 10, 10_961_370),
    ],
)
def test_parameter_counts(name, num_classes, parameters):
    assert trainable(models.build(name, num_classes=num_classes)) == parameters


@pytest.mark.parametrize("sides", [(32, 16, 8), (33, 17, 9), (64, 32, 16)])
def test_stages(sides):
    network = models.build("wrn_16_4", input_shape=(sides[0], sides[0], 3))
    for group, (width, expected) in enumerate(zip((64, 128, 256), sides, strict=True), start=1):
        for block in (1, 2):
            output = network.get_layer(f"group{group}_block{block}_add").output
            assert output.shape == (None, expected, expected, width)


# A transcription of https://github.com/xternalz/WideResNet-pytorch, one image (C, H, W) at a time.


def convolve(x, kernel, stride):
    """torch.nn.Conv2d with padding kernel // 2; `kernel` is Keras' (h, w, in, out)."""
    pad = kernel.shape[0] // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    out = [
        sum(
            scipy.signal.correlate2d(x[i], kernel[:, :, i, o], mode="valid")
            for i in range(kernel.shape[2])
        )
        for o in range(kernel.shape[3])
    ]
    return np.stack(out)[:, ::stride, ::stride]


def normalise(x, gamma, beta, mean, variance):
    scale = gamma / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + beta[:, None, None]


def relu(x):
    return np.maximum(x, 0)


def basic_block(x, weights, stride):
    activated = relu(normalise(x, *weights["bn1"]))
    y = convolve(activated, *weights["conv1"], stride)
    y = convolve(relu(normalise(y, *weights["bn2"])), *weights["conv2"], 1)
    return y + (convolve(activated, *weights["shortcut"], stride) if "shortcut" in weights else x)


def wide_resnet(images, network):
    def weights(name):
        return [w.astype(np.float64) for w in network.get_layer(name).get_weights()]

    layers = {layer.name for layer in network.layers}
    logits = []
    for image in images:
        x = (image.transpose(2, 0, 1) / 255 - 0.5) / 0.5
        x = convolve(x, *weights("stem"), 1)
        for group in (1, 2, 3):
            block = f"group{group}_block1"
            parts = ["bn1", "conv1", "bn2", "conv2", "shortcut"]
            own = {
                part: weights(f"{block}_{part}") for part in parts if f"{block}_{part}" in layers
            }
            x = basic_block(x, own, stride=1 if group == 1 else 2)
        features = relu(normalise(x, *weights("bn"))).mean((1, 2))
        kernel, bias = weights("logits")
        logits.append(features @ kernel + bias)
    return np.stack(logits)


@pytest.mark.parametrize(("name", "side"), [("wrn_10_1", 16), ("wrn_10_1", 17), ("wrn_10_2", 16)])
def test_logits_equal_the_reference(photo_crops, name, side):
    network = models.build(name, input_shape=(side, side, 3), num_classes=5, seed=1)
    rng = np.random.default_rng(0)
    # Fresh statistics and gains are 0 and 1; none may stay so, or their order would not matter.
    network.set_weights(
        [w + rng.uniform(0.1, 0.6, w.shape) if w.ndim == 1 else w for w in network.get_weights()]
    )
    images = photo_crops(side, 2)
    got = keras.ops.convert_to_numpy(network(images))
    np.testing.assert_allclose(got, wide_resnet(images, network), rtol=1e-4, atol=1e-4)
