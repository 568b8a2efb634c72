"""Reads the pickles of public data sets without executing anything that is in them."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from dynmix_tf.errors import InputError

__all__ = ["read_pickle"]


def read_pickle(path: str | os.PathLike[str], content: bytes | None = None) -> dict[str, Any]:
    """Reads a pickled dictionary of plain values and uint8 arrays, written by Python 2 or 3.

    A pickle names functions and classes that reading it calls. The four names that NumPy needs
    for an array stand here for small functions of this module, every other name is refused, and
    so is what would fill the memory or the stack of whoever reads it: an untrusted file can do no
    more than give wrong values. Protocol 0 of Python 2, which writes pixels as text, is refused.

    Args:
        path: The file.
        content: What it holds, where it was read already, from an archive.

    Returns:
        The dictionary, its byte-string keys as text. Strings of Python 2 come as bytes.

    Raises:
        InputError: The file cannot be read, is no such pickle, or asks for anything else.
    """
    path = Path(path)
    try:
        if content is None:
            content = path.read_bytes()
        _refuse_bombs(content)
        values = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(
            f"'{path}' is no pickle of plain values and uint8 arrays, or it is cut or damaged "
            f"({' '.join(str(error).split())})"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"'{path}' must hold a dictionary. Received: {type(values).__name__}")
    if not all(isinstance(key, (bytes, str)) for key in values):
        raise InputError(f"'{path}' must hold a dictionary whose keys are text")
    return {_text(key): _plain(value) for key, value in values.items()}


def _refuse_bombs(content: bytes) -> None:
    """Raises `UnpicklingError` for opcodes that no array, list or dictionary of text needs.

    A key of the dictionary is hashed while it is read. Tuples of tuples, each twice in the next,
    would take years, tuples in a million tuples the stack; a memo of an index takes as much memory
    as the index says.
    """
    depths: list[int | None] = []  # how deep the tuples on the stack are; None is a mark
    memo: dict[Any, int] = {}
    known = frozenset(_OPCODES.split())
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name not in known:
            raise pickle.UnpicklingError(f"it has the opcode {name}")
        if name.endswith("PUT") or name == "MEMOIZE":
            index = len(memo) if argument is None else argument
            if index > len(content):
                raise pickle.UnpicklingError(f"it has an object number {index:,}")
            memo[index] = depths[-1] or 0
            continue
        if name.endswith("GET") and memo.get(argument, 0):
            raise pickle.UnpicklingError("it has a tuple twice")
        taken: list[int] = []
        if pickletools.markobject in opcode.stack_before:
            while (depth := depths.pop()) is not None:
                taken.append(depth)
            count = opcode.stack_before.index(pickletools.markobject)
        else:
            count = len(opcode.stack_before)
        taken += [depths.pop() or 0 for _ in range(count)]
        depth = 1 + max(taken, default=0) if name.startswith("TUPLE") else 0
        if depth > _MOST_NESTED:
            raise pickle.UnpicklingError("it has tuples in tuples in tuples")
        for after in opcode.stack_after:
            depths.append(None if after is pickletools.markobject else depth)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them for Python 2
            return _encode
        # NumPy 2 renamed numpy.core to numpy._core.
        stand_in = _STAND_INS.get((module.replace("numpy._core", "numpy.core"), name))
        if stand_in is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return stand_in


class _Dtype:
    """Stands in for `numpy.dtype`."""

    def __init__(self, name: str | bytes, *_: Any) -> None:
        self.is_uint8 = name in ("u1", b"u1")

    def __setstate__(self, _: Any) -> None:
        """Byte order and the like, which single bytes do not have."""


class _Array:
    """Stands in for `numpy.ndarray`; `value` is the array once its state is set."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        self.value = _from_buffer(content, dtype, shape, "F" if is_fortran else "C").value


def _reconstruct(*_: Any) -> _Array:
    """Stands in for `numpy.core.multiarray._reconstruct`: an array before its state is set."""
    return _Array()


def _from_buffer(content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    """Stands in for `numpy.core.numeric._frombuffer`, which pickle protocol 5 uses."""
    if not dtype.is_uint8:
        raise pickle.UnpicklingError("it holds an array that is not uint8")
    array = _Array()
    array.value = np.frombuffer(content, np.uint8).reshape(
        shape, order="F" if order == "F" else "C"
    )
    return array


def _encode(text: str, _: str) -> bytes:
    return text.encode("latin1")


_STAND_INS = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
}


# Strings, numbers, lists, dictionaries, tuples, and calls of names that `find_class` knows.
_OPCODES = """
    APPEND APPENDS BINBYTES BINBYTES8 BINFLOAT BINGET BININT BININT1 BININT2 BINPUT BINSTRING
    BINUNICODE BINUNICODE8 BUILD BYTEARRAY8 DICT EMPTY_DICT EMPTY_LIST EMPTY_TUPLE FLOAT FRAME
    GET GLOBAL INT LIST LONG LONG1 LONG_BINGET LONG_BINPUT MARK MEMOIZE NEWFALSE NEWTRUE NONE
    PROTO PUT REDUCE SETITEM SETITEMS SHORT_BINBYTES SHORT_BINSTRING SHORT_BINUNICODE
    STACK_GLOBAL STOP STRING TUPLE TUPLE1 TUPLE2 TUPLE3 UNICODE
"""
_MOST_NESTED = 4  # an array's state in a call's arguments is 2


def _text(value: bytes | str) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Array) else value
