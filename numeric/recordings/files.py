"""The bytes of a user's file within limits, and the one form in which something about it is refused."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wideproof.derive.language.errors import DeriveError, ParameterError
from wideproof.derive.language.shown import visible

LARGEST = 2**30
"""Bytes of a file, and of what it unfolds to."""
MEMBERS, CHUNK = 20_000, 2**22
"""Parts of a gzip file, and bytes that are read at a time."""
SHOWN = 300
"""Characters of each field of a message: names, paths and cells are the file's words."""


def refusal(path: object, expected: str, got: object, hint: str) -> ParameterError:
    """The error that says what is wrong with a file, whatever bytes its names hold, in a few lines."""
    short = not isinstance(got, str) and len(repr(got)) <= SHOWN  # the words in it are escaped by repr
    came = got if short else visible(got, SHOWN)
    return ParameterError(visible(path, SHOWN), visible(expected, SHOWN), came, visible(hint, SHOWN))


@contextmanager
def foreign(path: object, expected: str, hint: str) -> Iterator[None]:
    """Turn whatever another library raises for a broken file into a refusal; our own errors pass."""
    try:
        yield
    except DeriveError:
        raise
    except Exception as error:
        raise refusal(path, expected, " ".join(str(error).split()) or type(error).__name__, hint) from error


def ending(path: Path) -> str:
    """The ending that says what kind of file it is: .dat of series.dat and of series.dat.gz."""
    name = Path(path.name[:-3]) if is_packed(path) else path
    return name.suffix.lower()


def is_packed(path: Path) -> bool:
    """Whether the name ends in .gz."""
    return path.suffix.lower() == ".gz"


def content(path: Path) -> bytes:
    """All bytes of a regular file, unpacked where its name ends in .gz: at most `LARGEST`.

    Errors: ParameterError for a folder, a pipe or a device, of which nothing is read, and for what is larger, is not
    there, may not be read or is no gzip file.
    """
    try:
        found = _regular(path)
    except OSError as error:
        raise refusal(
            path, "a file that can be read", error.strerror, "Check the path, and who may read it."
        ) from error
    if len(found) > LARGEST:
        raise too_large(path)
    return _unpacked(path, found) if is_packed(path) else found


def too_large(path: object) -> ParameterError:
    """The refusal of a file that is, or unfolds to, more than `LARGEST`."""
    return refusal(path, f"at most {LARGEST:,} bytes, unfolded", "more", "Cut the recording, or resample it.")


def _regular(path: Path) -> bytes:
    """Opened without waiting for a writer, and looked at again once it is open."""
    _check_kind(path, os.stat(path).st_mode)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        _check_kind(path, os.fstat(stream.fileno()).st_mode)
        parts, size = [], 0
        while size <= LARGEST and (part := stream.read(CHUNK)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)


def _check_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((word for test, word in kinds if test(mode)), "a device")
        raise refusal(path, "a file", kind, "Save what it gives to a file, and name that.")


def _unpacked(path: Path, packed: bytes) -> bytes:
    parts, left = [], LARGEST
    with foreign(path, "a gzip file", "Pack it again, or give it unpacked."):
        for _ in range(MEMBERS):
            reader = zlib.decompressobj(wbits=31)
            parts.append(reader.decompress(packed, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise too_large(path)
            if not reader.eof:
                raise EOFError("it ends too early")
            packed = reader.unused_data.lstrip(b"\0")
            if not packed:
                return b"".join(parts)
        raise ValueError(f"more than {MEMBERS} parts")
