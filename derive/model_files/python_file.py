"""A user's own Python file or module, run as Python runs it; its errors lead to the user's lines."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from wideproof.derive.language.errors import DeriveError, LanguageError
from wideproof.derive.language.grammar import shortened

OURS = Path(__file__).parents[2]
INSTALLED = tuple(str(sysconfig.get_paths()[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def module_of_file(path: Path) -> ModuleType:
    """The module that a Python file is once it has run, its own folder importable as under `python FILE`.

    Each call runs the file, and the modules beside it that it imports, afresh. Errors: LanguageError with the lines of
    the user's files that led to it, for a file that cannot be read or does not run; errors of the language pass, with
    these lines.
    """
    full = path.resolve()
    name = f"{path.stem}_{blake2b(str(full).encode(errors='surrogateescape'), digest_size=6).hexdigest()}"
    spec = spec_from_file_location(name, full, loader=_AsWritten(name, str(full)))
    assert spec is not None
    module = module_from_spec(spec)
    with importable(full.parent), told(str(path)):
        sys.modules[name] = module  # dataclasses look their module up
        try:
            _run(spec, module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    return module


def module_named(name: str) -> ModuleType:
    """The module `package.module`, found from the working folder on.  Errors: as `module_of_file`."""
    with importable(Path.cwd(), keep=True), told(name):
        return importlib.import_module(name)


class _AsWritten(SourceFileLoader):
    """Reads the source, never a compiled file that may be older, and writes none."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _run(spec: ModuleSpec, module: ModuleType) -> None:
    assert spec.loader is not None
    spec.loader.exec_module(module)


@contextmanager
def importable(folder: Path, keep: bool = False) -> Iterator[None]:
    """A folder at the head of the import path; modules from it are forgotten again, unless they are to be kept.

    Otherwise two files with a `helpers.py` each would share the first one's.
    """
    place, before = str(folder), set(sys.modules)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)
        if not keep:
            _forget(folder, set(sys.modules) - before)


def _forget(folder: Path, new: set[str]) -> None:
    beside = {name for name in new if "." not in name and _is_beside(folder, name)}
    for name in new:
        if name.partition(".")[0] in beside:
            sys.modules.pop(name, None)


def _is_beside(folder: Path, name: str) -> bool:
    """Whether a module is FOLDER/name.py or the package FOLDER/name."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    places = [getattr(spec, "origin", None), *(getattr(spec, "submodule_search_locations", None) or ())]
    return str(folder / f"{name}.py") in places or str(folder / name) in places


@contextmanager
def told(place: str) -> Iterator[None]:
    """Errors of the user's code as errors of ours, with the user's own lines as a note.

    Errors of the language keep their fields. What would end the process, such as sys.exit, is an error too; an
    interruption and a lack of memory pass.
    """
    try:
        yield
    except (KeyboardInterrupt, MemoryError):
        raise
    except DeriveError as error:
        lines = _own_lines(error.__traceback__)
        if lines:
            error.add_note("".join(traceback.format_list(lines)).rstrip())
            error.within(_line(place, lines))
        raise
    except ModuleNotFoundError as error:
        if error.name and place.startswith(error.name) and not _own_lines(error.__traceback__):
            hint = "Write it as it is imported from the working folder, or name a file: FILE.py:NAME."
            raise LanguageError(place, "a module that can be imported", f"no module {error.name}", hint) from None
        raise _not_running(place, error) from None
    except (Exception, SystemExit) as error:
        raise _not_running(place, error) from None


def _not_running(place: str, error: BaseException) -> LanguageError:
    lines = _own_lines(error.__traceback__)
    if isinstance(error, OSError) and not lines:
        return LanguageError(place, "a file that can be read", error.strerror, "Check the path, and who may read it.")
    got = f"{type(error).__name__}: {_message(error)}".rstrip(": ")
    found = LanguageError(
        _line(place, lines), "Python that runs", got, "Mend that line; python FILE shows the whole traceback."
    )
    note = traceback.format_list(lines)
    if isinstance(error, SyntaxError):
        note += traceback.format_exception_only(error)[:-1]
    if note:
        found.add_note("".join(note).rstrip())
    return found


def _line(place: str, lines: list[traceback.FrameSummary]) -> str:
    """The place, with the line where an error left the user's code, and the file of that line if it is another."""
    if not lines:
        return place
    file = Path(lines[-1].filename).name
    return f"{place}, {'' if file in place else f'{file} '}line {lines[-1].lineno}"


def _message(error: BaseException) -> str:
    try:
        return shortened(str(error).partition("\n")[0])
    except Exception:
        return ""


def _own_lines(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames of a traceback that are the user's own: not Python's, not ours, not those of installed packages."""
    return [
        line
        for line in traceback.extract_tb(trace)
        if not line.filename.startswith(("<", *INSTALLED)) and not line.filename.startswith(str(OURS))
    ]


def called_by_user(place: str, folder: Path | None, make: Callable[..., Any], options: dict[str, Any]) -> Any:
    """What a user's function returns, its file's folder importable and its errors told as those of the file."""
    if folder is None:
        with told(place):
            return make(**options)
    with importable(folder), told(place):
        return make(**options)
