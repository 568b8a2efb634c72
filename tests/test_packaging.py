"""What is installed, what importing it costs, and that its public names carry types."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import dynmix_tf

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def setup_arguments():
    """What setup.py says, without building anything."""
    code = """
import json, runpy, setuptools
setuptools.setup = lambda **words: print(json.dumps(words))
runpy.run_path("setup.py")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return json.loads(done.stdout)


def test_every_requirement_has_its_place(setup_arguments):
    lines = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1].isalpha()
    ]
    extras = setup_arguments["extras_require"]
    assert set(extras) == {"video", "jax", "test", "all"}
    assert sorted(setup_arguments["install_requires"] + extras["test"]) == sorted(lines)
    assert sorted(extras["all"]) == sorted(extras["video"] + extras["jax"])
    assert not any(line.startswith("pytest") for line in extras["all"])


def test_what_a_wheel_holds(tmp_path):
    """Built without isolation, so nothing is downloaded."""
    # from a copy: a build leaves folders behind
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
         "dynmix_tf", "tests", "*.toml", "*.txt", "*.in", "setup.py", "README.md", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, tracked.stdout.split("\0")):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", f"--wheel-dir={tmp_path}"],
        cwd=source, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    version = dynmix_tf.__version__
    assert wheel.name == f"dynmix_tf-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = archive.read(f"dynmix_tf-{version}.dist-info/METADATA").decode()
    inside = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dynmix_tf").rglob("*.py")}
    frost = {f"dynmix_tf/corruptions/frost/frost{number}" for number in range(1, 6)}
    assert inside < names
    assert "dynmix_tf/py.typed" in names
    assert frost == {name[:-4] for name in names if Path(name).suffix in (".png", ".jpg")}
    for name in ("LICENSE", "NOTICE"):  # what the photographs' licence demands
        assert f"dynmix_tf/corruptions/frost/{name}" in names
    assert {name.split("/")[0] for name in names} == {"dynmix_tf", f"dynmix_tf-{version}.dist-info"}
    assert "License-Expression: Apache-2.0" in about and "Typing :: Typed" in about


def test_the_changelog_begins_with_this_version():
    first = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert first.startswith(f"[{dynmix_tf.__version__}]")


def test_the_licences_are_one():
    assert (ROOT / "LICENSE").read_bytes() == (
        ROOT / "dynmix_tf/corruptions/frost/LICENSE"
    ).read_bytes()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    for path in project["license-files"]:
        assert (ROOT / path).is_file()


def loaded(code):
    """Top-level names of the packages that code loads, without the standard library and ours."""
    code += "\nimport sys\nprint('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:]) - set(sys.stdlib_module_names) - {"dynmix_tf"}


def test_the_import_loads_nothing():
    assert loaded("import dynmix_tf") <= loaded("")


def test_the_names_load_little_beside_keras_and_tensorflow():
    """Keras itself loads matplotlib, jax and scikit-learn where they are installed."""
    names = [name for name in dynmix_tf.__all__ if name not in ("reports", "__version__")]
    before = loaded("import keras, tensorflow")
    after = loaded(f"import dynmix_tf\nfor name in {names}: getattr(dynmix_tf, name)")
    assert {"keras", "tensorflow"} <= after
    assert after - before <= {"numpy", "scipy", "PIL", "tqdm"}


@pytest.mark.parametrize("name", ["train", "evaluate", "corrupt"])
def test_the_flags_of_a_command_load_little(name):
    assert loaded(f"import dynmix_tf.{name}") - loaded("") <= {"absl", "numpy", "tqdm"}


def public_functions():
    """Functions, and classes' public methods, that some module's `__all__` names."""
    found = {}
    for info in pkgutil.walk_packages(dynmix_tf.__path__, "dynmix_tf."):
        if info.name in ("dynmix_tf.train", "dynmix_tf.evaluate"):  # they define flags
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            members = vars(value).items() if inspect.isclass(value) else [("", value)]
            for member, function in members:
                if member.startswith("_") and member not in ("__init__", "__call__"):
                    continue
                function = getattr(function, "fget", getattr(function, "__func__", function))
                # a protocol's __init__ is Python's own
                if inspect.isfunction(function) and function.__module__.startswith("dynmix_tf"):
                    found[f"{function.__module__}.{name}.{member}".rstrip(".")] = function
    return found


def test_public_names_are_annotated():
    functions = public_functions()
    assert len(functions) > 200
    missing = []
    for name, function in functions.items():
        signature = inspect.signature(function)
        annotations = [
            parameter.annotation
            for parameter in signature.parameters.values()
            if parameter.name not in ("self", "cls")
        ]
        if inspect.Signature.empty in (*annotations, signature.return_annotation):
            missing.append(f"{name}{signature}")
    assert not missing
