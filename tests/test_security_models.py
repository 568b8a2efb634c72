"""Models of strangers: nothing that they bring along is run; they are refused in one line."""

import io
import json
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from dynmix_tf.errors import InputError
from dynmix_tf.export import export_saved_model, load_model
from dynmix_tf.predictors import load_predictor


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The members of a `.keras` file by name."""
    path = tmp_path_factory.mktemp("model") / "good.keras"
    network().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def network():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, name="logits")]
    )


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "model.keras"


def write(path, members, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def part(module, class_name, config, registered_name=None):
    return {
        "module": module, "class_name": class_name, "config": config,
        "registered_name": registered_name,
    }  # fmt: skip


def with_layer(good, layer):
    config = json.loads(good["config.json"])
    config["config"]["layers"].insert(1, layer)
    return good | {"config.json": json.dumps(config)}


def check_refused(path, message):
    before = sorted(path.parent.iterdir())
    with pytest.raises(InputError, match=message) as error:
        load_model(path)
    text = str(error.value)
    assert text.startswith(f"{path} is no Keras model: ") and "\n" not in text
    assert len(text) < len(str(path)) + 400
    assert sorted(path.parent.iterdir()) == before, "something was written"


def dense(activation):
    return part("keras.layers", "Dense", {"units": 3, "activation": activation})


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        # CVE-2024-3660, CVE-2025-1550: code, and any function of any module
        (part("keras.layers", "Lambda", {"function": {
            "class_name": "__lambda__", "config": {"value": "4wAAAAA="}}}), "Lambda"),
        (part("keras.layers", "Lambda", {"function": part("os", "function", "system")}), "system"),
        (part("os", "system", {"command": "touch pwned"}), "system"),
        (part("builtins", "function", "exec", "exec"), "exec"),
        (part("subprocess", "Popen", {"args": ["touch", "pwned"]}), "Popen"),
        (part("numpy", "load", {"file": "x", "allow_pickle": True}), "load"),
        (part("evil.package", "Evil", {}, "Evil"), "Could not locate class 'Evil'"),
        (dense(part("os", "function", "system")), "system"),
        ({"class_name": "__typespec__", "spec_name": "system", "registered_name": None,
          "module": "os", "config": ["touch pwned"]}, "model: "),
        # CVE-2025-8747: functions of Keras itself, such as a download
        (part("keras.utils", "get_file", {"fname": "x", "origin": "http://127.0.0.1:9/x"}),
         "get_file"),
        (dense(part("keras.utils", "function", "get_file", "get_file")), "get_file"),
        (part("keras.saving", "load_model", {"filepath": "x", "safe_mode": False}), "load_model"),
        (part("keras.src.utils.python_utils", "func_load", {"code": "x"}), "func_load"),
        # CVE-2025-9906: what ends the safe mode
        (part("keras.config", "enable_unsafe_deserialization", {}), "enable_unsafe"),
        (dense(part("builtins", "function", "enable_unsafe_deserialization")), "enable_unsafe"),
        # CVE-2025-12058: a vocabulary that is any file of the machine, or an address
        (part("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}), "vocabulary"),
        (part("keras.layers", "StringLookup", {"vocabulary": "http://127.0.0.1:9/x"}), "vocab"),
        (part("keras.layers", "IntegerLookup", {"vocabulary": "/etc/passwd"}), "vocabulary"),
        # other files, pickles and frameworks
        (part("keras.layers", "TFSMLayer", {"filepath": "export"}), "TFSMLayer"),
        (part("keras.layers", "TorchModuleWrapper", {"module": "gASVAA=="}), "model: "),
        (part("keras.layers", "JaxLayer", {"call_fn": part("os", "function", "system")}), "model"),
        # more memory than there is, and nonsense
        (part("keras.layers", "Dense", {"units": 2**61}), "model: "),
        (part("keras.layers", "Dense", {"units": -1}), "units"),
        ({"class_name": "__numpy__", "config": {"value": [0], "dtype": "object"}}, "__numpy__"),
        (5, "model: "),
        (None, "model: "),
    ],
)  # fmt: skip
def test_layers(path, good, layer, message):
    write(path, with_layer(good, layer))
    modules = set(sys.modules)
    check_refused(path, message)
    assert "evil" not in sys.modules and "torch" not in set(sys.modules) - modules
    with pytest.raises(ValueError, match="Lambda"):  # the safe mode is still on
        keras.layers.deserialize(
            part("keras.layers", "Lambda", {"function": {
                "class_name": "__lambda__", "config": {"value": "4wAAAAA="}}})
        )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[" * 100_000, "recursion"),
        ('{"a":' * 100_000, "recursion"),
        ("[]", "list indices"),
        ("null", "NoneType"),
        (b"\xff\xfe", "Expecting value"),
        (json.dumps(part("os", "system", {"command": "touch pwned"})), "system"),
        (json.dumps(part("keras.layers", "Dense", {"units": 3})), "model: "),
        (json.dumps(part("keras.optimizers", "SGD", {"learning_rate": 0.1})), "could not be load"),
        (json.dumps(part("keras.losses", "MeanSquaredError", {})), "it holds a MeanSquaredError"),
    ],
)
def test_configs(path, good, config, message):
    write(path, good | {"config.json": config})
    check_refused(path, message)


def with_weights(good, change):
    """The members, with a change to the data set of the kernel in the file of weights."""
    buffer = io.BytesIO(good["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        names = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        group, _, name = names[0].rpartition("/")
        del file[names[0]]
        change(file[group], name)
    return good | {"model.weights.h5": buffer.getvalue()}


def virtual(group, name):
    layout = h5py.VirtualLayout((192, 2), "float32")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (192, 2))
    group.create_virtual_dataset(name, layout)


@pytest.mark.parametrize(
    "change",
    [
        lambda group, name: group.__setitem__(name, h5py.ExternalLink("secret.h5", "/x")),
        lambda group, name: group.__setitem__(name, h5py.SoftLink("/elsewhere")),
        lambda group, name: group.create_dataset(
            name, (192, 2), "float32", external=[("secret.raw", 0, 1536)]
        ),
        lambda group, name: group.create_dataset(name, (2**40,), "float32", chunks=(1024,)),
        virtual,
    ],
    ids=["link to a file", "link", "data in a file", "terabytes", "virtual"],
)
def test_weights_that_are_elsewhere(path, good, change):
    """Other files of the machine would come into a model that is then given away."""
    with h5py.File("secret.h5", "w") as file:
        file["x"] = np.ones((192, 2), "float32")
    (path.parent / "secret.raw").write_bytes(bytes(1536))
    write(path, with_weights(good, change))
    check_refused(path, "could not be loaded")
    weights = path.with_name("mine.weights.h5")
    weights.write_bytes(with_weights(good, change)["model.weights.h5"])
    with pytest.raises(InputError, match="holds no weights for MobileNet: ") as error:
        load_predictor("applications:MobileNet", weights=weights, image_size=32)
    assert "\n" not in str(error.value)


def test_archives(path, good):
    write(path, dict(reversed(good.items())), zipfile.ZIP_DEFLATED)
    assert zipfile.ZipFile(path).namelist()[1] == "config.json"
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    for offset, value, message in (
        (24, (0xF0000000).to_bytes(4, "little"), "says that it unpacks to 4,0"),
        (10, b"\x63\0", "compression method is not supported"),
        (8, b"\x01\0", "encrypted"),
    ):
        changed = bytearray(content)
        changed[place + offset : place + offset + len(value)] = value
        path.write_bytes(changed)
        check_refused(path, message)
    write(path, {"config": b"{}"})
    check_refused(path, "no item named")
    write(path, good | {"model.weights.h5": good["model.weights.h5"][:2000]})
    check_refused(path, "truncated file")
    path.write_bytes(b"PK\x03\x04")
    check_refused(path, "not a zip file")


def test_a_model_in_the_old_format_is_none(path):
    """Its Lambda layers ran whatever the safe mode was (CVE-2025-9905)."""
    old = path.with_suffix(".h5")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)])
    model.save(old)
    with pytest.raises(InputError, match="not a zip file"):
        load_model(old)
    with pytest.raises(InputError, match="is no model"):
        load_predictor(old)


# --- SavedModels ---


class Hostile(tf.Module):
    """Answers as a classifier does, and does something besides."""

    def __init__(self, deed):
        super().__init__()
        self.deed = deed

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, "image")])
    def serve(self, image):
        with tf.control_dependencies([self.deed()]):
            return tf.reduce_mean(image, (1, 2))


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        (lambda: tf.io.write_file("pwned", "x"), "WriteFile"),
        (lambda: tf.io.read_file("/etc/passwd"), "ReadFile"),
        (lambda: tf.io.matching_files("/etc/*"), "MatchingFiles"),
        (lambda: tf.numpy_function(lambda: np.float32(1), [], tf.float32), "PyFunc"),
        (lambda: tf.data.TextLineDataset("/etc/passwd").reduce("", lambda a, b: a + b),
         "TextLineDataset"),
    ],
)  # fmt: skip
def test_graphs_that_do_more_than_compute(path, deed, message):
    hostile = Hostile(deed)
    tf.saved_model.save(hostile, "export", signatures={"serving_default": hostile.serve})
    with pytest.raises(InputError, match=f"^export: the graph does more .*{message}") as error:
        load_predictor("export")
    assert "\n" not in str(error.value)
    assert not (path.parent / "pwned").exists()


def test_a_graph_that_fails(path):
    hostile = Hostile(lambda: tf.debugging.assert_equal(1, tf.random.uniform((), 2, 9, tf.int32)))
    tf.saved_model.save(hostile, "export", signatures={"serving_default": hostile.serve})
    predict = load_predictor("export")
    with pytest.raises(InputError, match="the model fails on a batch of 2 images"):
        predict(np.zeros((2, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x08\x01"])
def test_damaged_saved_models(path, content):
    (path.parent / "export").mkdir()
    (path.parent / "export" / "saved_model.pb").write_bytes(content)
    with pytest.raises(InputError, match="export is no SavedModel: ") as error:
        load_predictor("export")
    assert "\n" not in str(error.value)


def test_own_exports_and_those_of_keras_are_let_in(path):
    model = network()
    export_saved_model(model, "own")
    model.export("of_keras", verbose=False)
    images = np.zeros((2, 8, 8, 3), np.uint8)
    for folder in ("own", "of_keras"):
        assert load_predictor(folder, output="probabilities" if folder == "own" else "logits")(
            images
        ).shape == (2, 2)


def test_an_export_does_not_follow_a_link(path):
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    (path.parent / "export.new").symlink_to(elsewhere)
    export_saved_model(network(), "export")
    assert not list(elsewhere.iterdir())
    assert (path.parent / "export" / "saved_model.pb").is_file()
