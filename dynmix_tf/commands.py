"""What the commands share: flags from settings, help, and a mistake told in one line."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from dynmix_tf.errors import InputError, Interrupted
from dynmix_tf.files import write_atomic

__all__ = ["define_flags", "load_tensorflow", "run", "settings_from_flags", "write_flags"]

_COLUMN = 28  # of --help, where what a flag means begins
_FOR_ALL = """
Of every command:
  --flagfile=FILE           reads flags from a file, one in a line; a flag after it wins
  --help                    prints this

Exit status:
  0    done
  2    a mistake in the flags, the data or a file, told in one line
  75   a worker was lost, or (offline training) the time is up; the same command continues
  130  interrupted (Ctrl-C); the same command continues"""


def define_flags(settings: type) -> None:
    """Defines one flag for each field of a dataclass of settings."""
    for setting in dataclasses.fields(settings):
        text, choices = setting.metadata["help"], setting.metadata["choices"]
        text = f"<{'|'.join(choices)}>: {text}" if choices else text  # as absl, of an enum
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


def run(
    main: Callable[[], None], sections: Mapping[str, Sequence[str]], several: Any = None
) -> None:
    """Runs a command's `main`; does not return.

    Args:
        main: Checks the flags and does the work.
        sections: The names of the command's flags, by the headings that `--help` puts over them.
        several: A multi-string flag that may be followed by more values, as a shell makes of
            `--compare runs/*`. Without it, arguments that are no flags are mistakes.

    Exit status: 0 when done or help was asked for, 130 when interrupted, 75 when something else
    ended it that the same command may get over (`Interrupted`), 141 when nobody reads its
    output any more, and 2 with one line on stderr for a user's mistake: `InputError`, a wrong
    flag, a file that cannot be read or written.
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
        except BrokenPipeError:
            raise
        except (InputError, OSError) as error:  # a mistake, or a disk that says no
            _leave(str(error))
        except Interrupted as error:
            _leave(str(error), 75)  # EX_TEMPFAIL of sysexits.h
        except KeyboardInterrupt:
            print("interrupted; the same command continues", file=sys.stderr)
            sys.exit(130)

    try:
        try:
            app.run(guarded, flags_parser=lambda argv: _parse(argv, sections))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who reads it has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as a shell tells of SIGPIPE


def _parse(argv: list[str], sections: Mapping[str, Sequence[str]]) -> list[str]:
    if any(argument in ("-h", "-help", "--help", "--helpfull") for argument in argv[1:]):
        print((sys.modules["__main__"].__doc__ or "").strip())
        for heading, names in sections.items():
            print(f"\n{heading}:")
            for name in names:
                print(_manual_entry(flags.FLAGS[name]))
        print(_FOR_ALL)
        sys.exit(0)
    flags.FLAGS.set_gnu_getopt()  # flags may come after other arguments
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _leave(str(error))
        raise


def _manual_entry(flag: Any) -> str:
    """What `--help` says of a flag: its form, what it is, and its default."""
    kind = flag.flag_type()
    values = {"bool": "", "int": "=N", "float": "=NUMBER", "multi string": " FOLDER..."}
    value = values.get(kind, "=A,B,..." if "list" in kind else "=VALUE")
    if flag.name == "workdir" or flag.name.endswith("_dir"):
        value = "=FOLDER"
    text = flag.help.removesuffix(";\n    repeat this option to specify a list of values")
    if text.startswith("<"):
        choices, _, rest = text[1:].partition(">: ")
        if len(choices) < 40:
            value, text = f"={choices}", rest
        else:
            text = f"{rest}; one of {choices.replace('|', ', ')}"
    default = flag.default
    if isinstance(default, bool):
        default = "yes" if default else "no"
    elif isinstance(default, (list, tuple)):
        default = ",".join(str(each) for each in default)
    text += f" (default: {default})" if default not in (None, "") else ""
    name = f"  --{'[no]' if kind == 'bool' else ''}{flag.name}{value}"
    gap = "" if len(name) < _COLUMN - 1 else f"{name}\n"
    indent = " " * _COLUMN
    first = indent if gap else name.ljust(_COLUMN)
    return gap + textwrap.fill(
        text, 98, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )


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

    Raises:
        InputError: KERAS_BACKEND is another backend.

    No environment variable turns that off (tensorflow/tensorflow issue 100442), and a command's
    stderr is for its user.
    """
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in ("tensorflow", "jax"):
        raise InputError(f"KERAS_BACKEND must be tensorflow or jax. Received: {backend}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            if backend != "tensorflow":
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
