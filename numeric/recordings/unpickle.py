"""Pickles of numeric arrays, read by a machine of our own that knows nothing but their bytes.

No name in the file is ever imported, and Python's own unpickler never sees it: the operations that a pickle of arrays
needs are written out here, and every other one is refused. The names that pickled arrays mention stand for stand-ins.
A small file cannot unfold to a large one, nor take long: operations, values, depth, sizes of numbers, lengths of names
and bytes of arrays are limited, and nothing in the file is hashed, compared or printed before its type is known.
"""

from __future__ import annotations

import codecs
import io
import math
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.recordings.files import content, refusal

DEEPEST, MOST = 3, 100_000
"""Containers within containers, and values in all."""
OPERATIONS, AXES, NAME_LENGTH, WHOLE_BYTES = 1_000_000, 32, 200, 8
"""Operations of a file, axes of an array, characters of a name, bytes of a whole number."""
SPARE = 2**20
"""Bytes that arrays may hold beyond twice the file: a shared one-byte string fills several."""
NUMERIC = re.compile(r"[biuf][1248]")
ORDERS, LAYOUTS = ("<", ">", "|", "="), ("C", "F", "K")
SAVE_AS_NPZ = "Only plain arrays of numbers are read from a pickle: save it with numpy.savez instead."


class _Refused(Exception):
    """What the file holds and no recording does."""


def refuse(what: str) -> NoReturn:
    """Stop reading."""
    raise _Refused(what)


def _word(value: object, known: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in known


class _Type:
    """Stands for numpy.dtype: a kind and size, then a byte order."""

    def __init__(self, code: object = None, *_: object) -> None:
        if not isinstance(code, str) or not NUMERIC.fullmatch(code):
            refuse(f"an array of type {code[:40]!r}" if isinstance(code, str) else "an array of no type of numbers")
        self.code, self.order = code, "="

    def build(self, state: object) -> None:
        """Take the byte order."""
        if not isinstance(state, tuple) or len(state) < 2 or not _word(state[1], ORDERS):
            refuse("a type of numbers without byte order")
        self.order = str(state[1])

    def real(self) -> np.dtype[Any]:
        """The NumPy type of this kind, size and order."""
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for numpy.ndarray: shape, type, order and bytes, checked when they are read."""

    def __init__(self, value: Host | None = None) -> None:
        self.value: Host = np.empty(0) if value is None else value

    def build(self, state: object) -> None:
        """Take shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            refuse("an array of another form")
        _, shape, kind, fortran, data = state
        if not isinstance(fortran, bool | int):
            refuse("an array of no order")
        self.value = _numbers(data, kind, shape, "F" if fortran else "C")


def _numbers(data: object, kind: object, shape: object, order: object, axes: object = None) -> Host:
    """The array of these bytes; text is the bytes of Python 2.  Shapes: -> shape."""
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(kind, _Type) or not isinstance(raw, bytes | bytearray):
        refuse("an array that is not of numbers")
    sizes = _wholes(shape)
    if sizes is None or not _word(order, LAYOUTS):
        refuse("an array without shape or order")
    if math.prod(sizes) * kind.real().itemsize != len(raw):
        refuse(f"{len(raw)} bytes for an array of shape {sizes}")
    flat = np.frombuffer(raw, kind.real())
    if order != "K":
        return flat.reshape(sizes, order="F" if order == "F" else "C")
    turned = _wholes(axes)
    if turned is None or sorted(turned) != list(range(len(sizes))):
        refuse("axes that do not fit the shape")
    return flat.reshape(sizes).transpose(turned)


def _wholes(value: object) -> tuple[int, ...] | None:
    """A short tuple of whole numbers that are not negative, or nothing."""
    fits = isinstance(value, tuple) and len(value) <= AXES and all(type(n) is int and n >= 0 for n in value)
    return value if fits else None  # type: ignore[return-value]


def _frombuffer(data: object, kind: object, shape: object, order: object, axes: object = None) -> _Array:
    return _Array(_numbers(data, kind, shape, order, axes))


def _encode(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or not _word(encoding, ("latin1",)):
        refuse("text that is no bytes")
    return text.encode("latin1")


NAMES: dict[tuple[str, str], Callable[..., object] | None] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): None,  # an argument of _reconstruct, never called
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): lambda: b"",
    ("builtins", "bytes"): lambda: b"",
}
"""Every name a pickled array may mention, and what stands for it."""
for _core in ("numpy.core", "numpy._core"):
    NAMES[f"{_core}.multiarray", "_reconstruct"] = lambda kind, shape, code: _Array()
    NAMES[f"{_core}.multiarray", "scalar"] = lambda kind, data: _frombuffer(data, kind, (), "C")
    NAMES[f"{_core}.numeric", "_frombuffer"] = _frombuffer


class _Name:
    """A name of the file: it can be called, and neither changed nor taken apart."""

    def __init__(self, module: object, name: object) -> None:
        known = isinstance(module, str) and isinstance(name, str)
        if not known or (module, name) not in NAMES:
            refuse(f"{str(module)[:40]}.{str(name)[:40]}" if known else "a name that is no text")
        self.stands_for = NAMES[module, name]  # type: ignore[index]


_MARK = object()
BY_CODE = {operation.code: operation for operation in pickletools.opcodes}
PUSHED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
PUT, GET = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
SHORT_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
SKIPPED = {"PROTO", "FRAME"}


class _Machine:
    """The stack and the memo of one pickle, and what each operation does to them."""

    def __init__(self, data: bytes) -> None:
        self.stream, self.stack, self.memo = io.BytesIO(data), list[Any](), dict[int, Any]()
        self.left = 2 * len(data) + SPARE

    def run(self) -> Any:
        """The value that the file ends with."""
        for _ in range(OPERATIONS):
            code = self.stream.read(1).decode("latin1")
            operation = BY_CODE.get(code)
            if operation is None:
                refuse("what ends too early" if not code else f"an operation {code!r} that is none")
            if operation.name == "STOP":
                return self.pop()
            self.step(operation.name, self.argument(operation))
        refuse(f"more than {OPERATIONS:,} operations")

    def argument(self, operation: pickletools.OpcodeInfo) -> Any:
        """What follows an operation in the file; text of Python 2 may be any bytes."""
        if operation.name == "STRING":
            quoted = pickletools.read_stringnl(self.stream, decode=False)
            return codecs.escape_decode(quoted)[0].decode("latin1")
        return None if operation.arg is None else operation.arg.reader(self.stream)

    def step(self, name: str, argument: Any) -> None:
        """One operation: pushes, or hands on to the method that bears its name."""
        if name in PUSHED:
            self.stack.append(PUSHED[name])
        elif name in NUMBERS:
            self.stack.append(_moderate(argument))
        elif name in TEXTS or name in BYTES:
            self.stack.append(argument)
        elif name in PUT:
            self.memo[argument] = self.top()
        elif name in GET:
            self.stack.append(self.memo[argument] if argument in self.memo else refuse("a value it did not keep"))
        elif name in SHORT_TUPLES:
            self.stack.append(tuple(self.several(SHORT_TUPLES[name])))
        elif name not in SKIPPED:
            method = getattr(self, f"_{name.lower()}", None) or refuse(f"the operation {name}")
            method(*(() if argument is None else (argument,)))

    # ---- the stack ------------------------------------------------------------------------------------
    def top(self) -> Any:
        return self.stack[-1] if self.stack and self.stack[-1] is not _MARK else refuse("an operation on nothing")

    def pop(self) -> Any:
        value = self.top()
        self.stack.pop()
        return value

    def several(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def marked(self) -> list[Any]:
        """All values above the last mark."""
        values: list[Any] = []
        while self.stack and self.stack[-1] is not _MARK:
            values.append(self.stack.pop())
        if not self.stack:
            refuse("values without a mark")
        self.stack.pop()
        return values[::-1]

    # ---- operations, by their names in pickletools ----------------------------------------------------
    def _mark(self) -> None:
        self.stack.append(_MARK)

    def _pop(self) -> None:
        self.pop()

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.top()

    def _empty_list(self) -> None:
        self.stack.append([])

    def _list(self) -> None:
        self.stack.append(self.marked())

    def _append(self) -> None:
        self.extend([self.pop()])

    def _appends(self) -> None:
        self.extend(self.marked())

    def extend(self, values: list[Any]) -> None:
        found = self.top()
        if type(found) is not list:
            refuse("items of what is no list")
        found.extend(values)

    def _tuple(self) -> None:
        self.stack.append(tuple(self.marked()))

    def _empty_dict(self) -> None:
        self.stack.append({})

    def _dict(self) -> None:
        values = self.marked()
        self.stack.append({})
        self.update(values)

    def _setitem(self) -> None:
        self.update(self.several(2))

    def _setitems(self) -> None:
        self.update(self.marked())

    def update(self, pairs: list[Any]) -> None:
        found = self.top()
        if type(found) is not dict or len(pairs) % 2:
            refuse("items of what is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            found[_key(key)] = value

    def _global(self, both: str) -> None:
        module, _, name = both.partition(" ")
        self.stack.append(_Name(module, name))

    def _stack_global(self) -> None:
        self.stack.append(_Name(*self.several(2)))

    def _reduce(self) -> None:
        name, arguments = self.several(2)
        if not isinstance(name, _Name) or name.stands_for is None or not isinstance(arguments, tuple):
            refuse("a call of what is no array")
        try:
            made = name.stands_for(*arguments)
        except TypeError:
            refuse("a call with other arguments than an array has")
        self.stack.append(self.counted(made))

    def _build(self) -> None:
        state, found = self.pop(), self.top()
        if not isinstance(found, _Type | _Array):
            refuse("a file that changes what its names mean")
        found.build(state)
        self.counted(found)

    def counted(self, made: Any) -> Any:
        """The same, its bytes taken off those that are left."""
        size = made.value.nbytes if isinstance(made, _Array) else len(made) if isinstance(made, bytes) else 0
        self.left -= size
        return made if self.left >= 0 else refuse("more bytes of arrays than the file has")


def _moderate(number: Any) -> Any:
    if isinstance(number, int) and number.bit_length() > 8 * WHOLE_BYTES:
        refuse(f"a whole number of {number.bit_length()} bits")
    return number


def _key(key: object) -> str:
    if not isinstance(key, str | bytes | int):
        refuse("a dictionary whose keys are no names")
    text = key.decode("latin1") if isinstance(key, bytes) else str(key)
    return text if len(text) <= NAME_LENGTH else refuse("a name of more than 200 characters")


def read_arrays(path: Path) -> Any:
    """The arrays of a pickle of protocol 0 to 5, Python 2's included, in their tuples, lists and dictionaries.

    Errors: ParameterError for anything else in the file, of which nothing is run, and beyond the limits.
    """
    data = content(path)
    try:
        return _Plain().of(_Machine(data).run(), DEEPEST)
    except (_Refused, ValueError, OverflowError) as error:  # the readers of single arguments raise the last two
        got = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise _refused(path, got) from error


def _refused(path: Path, got: str) -> ParameterError:
    return refusal(path, "a pickle of numeric arrays only", got, SAVE_AS_NPZ)


class _Plain:
    """Replaces stand-ins by arrays, and counts the values so that a small file cannot unfold without end."""

    def __init__(self) -> None:
        self.left = MOST

    def of(self, value: Any, depth: int) -> Any:
        """The value with arrays in place of their stand-ins."""
        self.left -= 1
        if self.left < 0 or depth < 0:
            refuse("more values than a recording has")
        if isinstance(value, _Array):
            return value.value
        if isinstance(value, list | tuple):
            return type(value)([self.of(item, depth - 1) for item in value])
        if isinstance(value, dict):
            return {key: self.of(item, depth - 1) for key, item in value.items()}
        if isinstance(value, int | float):
            return np.asarray(float(value))
        refuse(f"a value of type {type(value).__name__}")
