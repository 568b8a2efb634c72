"""What the commands share: flags from settings, help, and a mistake told in one line."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from dynmix_tf.errors import InputError, Interrupted
from dynmix_tf.files import write_atomic

__all__ = ["define_flags", "load_tensorflow", "run", "settings_from_flags", "write_flags"]


def define_flags(settings: type) -> None:
    """Defines one flag for each field of a dataclass of settings."""
    for setting in dataclasses.fields(settings):
        text, choices = setting.metadata["help"], setting.metadata["choices"]
        text += f" ({' | '.join(choices)})" if choices else ""
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[setting.metadata["kind"]]
        define(setting.name, setting.default, text)


def settings_from_flags(settings: type) -> Any:
    """The dataclass of settings, filled from the flags."""
    names = [setting.name for setting in dataclasses.fields(settings)]
    return settings(**{name: flags.FLAGS[name].value for name in names})


def write_flags(path: Path) -> None:
    """Writes the command's flags, one in a line, to be repeated by `--flagfile=path`."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    write_atomic(path, "".join(f"{flag.serialize()}\n" for flag in own if flag.value is not None))


def run(main: Callable[[], None], several: Any = None) -> None:
    """Runs a command's `main`; does not return.

    Arguments that are no flags are mistakes, unless they follow the flag `several`, a multi-string
    one: then they are more values of it, as a shell makes of `--compare runs/*`.

    Exit status: 0 when done or help was asked for, 130 when interrupted, 75 when something else
    ended it that the same command may get over (`Interrupted`), and 2 with one line on
    stderr for a user's mistake: `InputError`, a wrong flag, a file that cannot be read or written.
    """

    def guarded(argv: list[str]) -> None:
        try:
            if several is not None and several.value:
                flags.FLAGS[several.name].value += argv[1:]
            elif len(argv) > 1:
                raise InputError(f"unexpected argument '{argv[1]}'; settings are --name=value")
            logging.set_verbosity(logging.ERROR)  # of TensorFlow's Python part
            warnings.formatwarning = _one_line
            main()
        except (InputError, OSError) as error:  # a mistake, or a disk that says no
            _leave(str(error))
        except Interrupted as error:
            _leave(str(error), 75)  # EX_TEMPFAIL of sysexits.h
        except KeyboardInterrupt:
            print("interrupted; the same command continues", file=sys.stderr)
            sys.exit(130)

    app.run(guarded, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    if any(argument in ("-h", "-help", "--help", "--helpfull") for argument in argv[1:]):
        module = sys.modules["__main__"]
        print((module.__doc__ or "").strip(), "\n", flags.FLAGS.main_module_help(), sep="\n")
        sys.exit(0)
    flags.FLAGS.set_gnu_getopt()  # flags may come after other arguments
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _leave(str(error))
        raise


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {' '.join(str(message).split())}\n"  # a user needs no line of source


def _leave(message: str, status: int = 2) -> None:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def load_tensorflow(start: bool = True) -> None:
    """Imports TensorFlow, and keeps what its C++ part then prints unless the import fails.

    Args:
        start: Whether to look for devices too, which must wait where several workers join first.
            With KERAS_BACKEND=jax, TensorFlow leaves the accelerators to JAX.

    No environment variable turns that off (tensorflow/tensorflow issue 100442), and a command's
    stderr is for its user.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
                tf.config.set_visible_devices([], "GPU")
            if start:
                tf.config.list_logical_devices()  # looks for a GPU, says so where there is none
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
