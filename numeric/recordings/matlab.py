"""Variables of MATLAB files of versions 4 to 7.2: arrays of numbers, and cells of them, within limits.

A reader of our own, since a header of a few bytes may promise more than memory holds: sizes are held against the bytes
that are there before anything is made, and what is compressed is unfolded to a limit.
Source: MATLAB MAT-file format, versions 4 and 5 (The MathWorks).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from wideproof.numeric.core.arrays import Host

HEADER, TAG, HEAD = 128, 8, 4096
"""Bytes of the file's header, of a tag, and of a variable's head: flags, sizes and name."""
MATRIX, COMPRESSED = 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
CELL, AXES, CELLS, PARTS = 1, 32, 100_000, 10_000
LOGICAL, COMPLEX = 0x0200, 0x0800
OTHERS = {2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}


class Element(NamedTuple):
    """One tagged part of a file: its kind, its bytes, and where the next one starts."""

    kind: int
    data: memoryview
    end: int


@dataclass(frozen=True)
class _Head:
    """What stands before the numbers of a variable."""

    kind: int
    flags: int
    shape: tuple[int, ...]
    name: str
    end: int


class MatFile:
    """The variables of one file by name; `load` reads one of them, and unfolds no other.

    Errors: ValueError for what the format does not allow, and beyond the limits.
    """

    def __init__(self, raw: bytes, largest: int) -> None:
        self.order = {b"IM": "<", b"MI": ">"}.get(raw[126:128], "")
        if len(raw) < HEADER or not self.order:
            raise ValueError("no header of a MATLAB file")
        self.left = largest
        self.places: dict[str, Element] = {}
        for element in self.elements(memoryview(raw), HEADER):
            if element.kind in (MATRIX, COMPRESSED) and (name := self.head(self.start(element)).name):
                self.places[name] = element

    def load(self, name: str) -> Any:
        """The array of a variable, or for a cell an array of arrays.  Shapes: as in MATLAB."""
        return self.value(self.whole(self.places[name]), deepest=1)

    def elements(self, data: memoryview, at: int) -> Iterator[Element]:
        """The parts from one place on."""
        for _ in range(PARTS):
            if at + TAG > len(data):
                return
            element = self.element(data, at)
            yield element
            at = element.end
        raise ValueError(f"more than {PARTS} parts")

    def element(self, data: memoryview, at: int) -> Element:
        """The part at one place; a small one holds its bytes in its tag."""
        if at + TAG > len(data):
            raise ValueError("it ends too early")
        kind, size = struct.unpack_from(self.order + "II", data, at)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError("a small part of more than four bytes")
            return Element(kind, data[at + 4 : at + 4 + size], at + TAG)
        begin = at + TAG
        if begin + size > len(data):
            raise ValueError("a part that is longer than the file")
        padded = size if kind == COMPRESSED else size + -size % 8
        return Element(kind, data[begin : begin + size], begin + padded)

    def start(self, element: Element) -> memoryview:
        """The first bytes of a variable: its head, without what follows."""
        if element.kind == MATRIX:
            return element.data[:HEAD]
        unfolded = memoryview(zlib.decompressobj().decompress(element.data, HEAD + TAG))
        return unfolded[TAG:]

    def whole(self, element: Element) -> memoryview:
        """All bytes of a variable, unfolded to no more than what is left of the limit."""
        if element.kind == MATRIX:
            return element.data
        reader = zlib.decompressobj()
        unfolded = memoryview(reader.decompress(element.data, self.left + 1))
        self.left -= len(unfolded)
        if self.left < 0:
            raise ValueError("more than it may unfold to")
        if not reader.eof:
            raise ValueError("it ends too early")
        inner = self.element(unfolded, 0)
        if inner.kind != MATRIX:
            raise ValueError("compressed bytes that are no variable")
        return inner.data

    def head(self, data: memoryview) -> _Head:
        """Class, flags, sizes and name of a variable."""
        flags = self.element(data, 0)
        sizes = self.element(data, flags.end)
        name = self.element(data, sizes.end)
        if len(flags.data) < 4 or len(sizes.data) % 4 or not 8 <= len(sizes.data) <= 4 * AXES:
            raise ValueError("a variable without class or sizes")
        word = struct.unpack_from(self.order + "I", flags.data)[0]
        shape = struct.unpack(f"{self.order}{len(sizes.data) // 4}i", sizes.data)
        if min(shape) < 0:
            raise ValueError("a negative size")
        return _Head(word & 0xFF, word, shape, bytes(name.data).decode("latin1"), name.end)

    def value(self, data: memoryview, deepest: int) -> Any:
        """The array of numbers, or where that is allowed the cell of arrays."""
        head = self.head(data)
        if head.kind == CELL and deepest:
            return self.cell(data, head, deepest)
        if head.kind not in CLASSES or head.flags & COMPLEX:
            kind = "complex numbers" if head.kind in CLASSES else OTHERS.get(head.kind, "a cell within a cell")
            raise ValueError(f"{head.name or 'a part of a cell'} is {kind}")
        part = self.element(data, head.end)
        if part.kind not in STORED:
            raise ValueError("numbers of no known type")
        stored = np.dtype(self.order + STORED[part.kind])
        if len(part.data) != math.prod(head.shape) * stored.itemsize:
            raise ValueError(f"{len(part.data)} bytes for an array of shape {head.shape}")
        target = np.dtype("?" if head.flags & LOGICAL else CLASSES[head.kind])
        self.left -= math.prod(head.shape) * target.itemsize
        if self.left < 0:
            raise ValueError("more than it may unfold to")
        return np.frombuffer(part.data, stored).astype(target).reshape(head.shape, order="F")

    def cell(self, data: memoryview, head: _Head, deepest: int) -> Host:
        """The arrays of a cell, in the order of the file.  Shapes: -> (number of arrays,), objects."""
        count = math.prod(head.shape)
        if count > min(CELLS, (len(data) - head.end) // TAG):
            raise ValueError(f"a cell of {count} parts")
        found, at = np.empty(count, dtype=object), head.end
        for k in range(count):
            part = self.element(data, at)
            if part.kind != MATRIX or not len(part.data):
                raise ValueError("a cell with an empty part")
            found[k], at = self.value(part.data, deepest - 1), part.end
        return found


VERSION_4 = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}


class MatFile4:
    """The variables of a file of version 4: matrices one after the other, as large as what they hold.

    Errors: ValueError for what the format does not allow; `load` also for text, sparse and complex matrices.
    """

    def __init__(self, raw: bytes, largest: int) -> None:
        self.raw, self.places, at = raw, dict[str, tuple[int, np.dtype[Any], tuple[int, int], bool]](), 0
        while at < len(raw):
            at = self.variable(at)
            if len(self.places) > PARTS:
                raise ValueError(f"more than {PARTS} variables")

    def variable(self, at: int) -> int:
        """Note the variable at one place; return where the next one starts."""
        order = "<" if struct.unpack_from("<i", self.raw, at)[0] < 5000 else ">"
        code, rows, columns, imaginary, length = struct.unpack_from(order + "5i", self.raw, at)
        machine, kind, sort = code // 1000, code // 10 % 10, code % 10
        if machine != (order == ">") or code < 0 or kind not in VERSION_4 or min(rows, columns) < 0 or length < 1:
            raise ValueError("no header of a variable of MATLAB 4")
        name = self.raw[at + 20 : at + 20 + length].rstrip(b"\0").decode("latin1")
        begin, stored = at + 20 + length, np.dtype(order + VERSION_4[kind])
        end = begin + rows * columns * stored.itemsize * (1 + bool(imaginary))
        if end > len(self.raw):
            raise ValueError("a variable that is longer than the file")
        self.places[name] = begin, stored, (rows, columns), bool(imaginary or sort)
        return end

    def load(self, name: str) -> Host:
        """The matrix of a variable, in doubles.  Shapes: as in MATLAB."""
        begin, stored, shape, other = self.places[name]
        if other:
            raise ValueError(f"{name} is text, sparse or complex")
        numbers = np.frombuffer(self.raw, stored, math.prod(shape), begin)
        return numbers.astype(float).reshape(shape, order="F")
