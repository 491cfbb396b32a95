"""A model that a user wrote, by where it stands: FILE.py:NAME, package.module:NAME, or FILE.toml."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import DeriveError, LanguageError, ParameterError, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.model_files.python_file import called_by_user, module_named, module_of_file
from wideproof.derive.model_files.toml_form import BYTES, recursion_of

Model: TypeAlias = Recursion | Alternating
FORMS = "FILE.py:NAME or FILE.toml"
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
SHOWN = 12  # names of a file that a message lists


@dataclass(frozen=True)
class ModelPlace:
    """Where a model stands: a file or a module, and the name in it, empty for the only one."""

    place: str
    name: str = ""

    @property
    def kind(self) -> str:
        """What it is read as: "python", "toml" or "module"."""
        suffix = Path(self.place).suffix.lower()
        return {".py": "python", ".toml": "toml"}.get(suffix, "module")


@dataclass(frozen=True)
class WrittenModel:
    """A model that a user wrote, and the options of the function that makes it, if it is one."""

    make: Callable[..., Model]
    options: Mapping[str, inspect.Parameter] = field(default_factory=dict)


def place_of(text: str) -> ModelPlace | None:
    """The place that a text means, split at its last colon; None for a text that is neither a path nor MODULE:NAME."""
    head, colon, name = text.rpartition(":")
    if not colon or text.lower().endswith((".py", ".toml")):  # C:\\models\\my.py has its colon at the drive
        head, name = text, ""
    is_path = head.lower().endswith((".py", ".toml")) or any(sign in head for sign in "/\\")
    if is_path or (colon and MODULE.match(head)):
        return ModelPlace(head, name)
    return None


def read_model(where: ModelPlace) -> WrittenModel:
    """The model that stands at a place; a Python file or module is run, of a TOML file nothing is.

    Errors: LanguageError for a file that is missing, of another kind, or does not run, and for a name that it lacks or
    that is no model.
    """
    if where.kind == "toml":
        return _toml(where)
    if where.kind == "python":
        _check_is_file(where.place)
        folder, module = Path(where.place).resolve().parent, module_of_file(Path(where.place))
    else:
        if not MODULE.match(where.place):
            hint = "A Python file ends in .py, a declared model in .toml."
            raise LanguageError(where.place, FORMS, shortened(repr(where.place)), hint)
        folder, module = None, module_named(where.place)
    name = where.name or _only(where, module)
    if not hasattr(module, name):
        raise _missing(where, module, name)
    return _as_model(where.place, name, folder, getattr(module, name))


def load_model(where: str | Path, **options: Any) -> Model:
    r"""Return the model in a file: "FILE.py:NAME", "package.module:NAME", or "FILE.toml".

    A Python file is run, as your own code. A TOML file is only read: nothing in it is run, its expressions are those of
    `define` with `@` for products, and its size, depth and names are limited. NAME is a Recursion, an Alternating, or
    a function that returns one, which gets the options; left out, it is the only one of the file.
    Units: none.  Errors: LanguageError with the place, and with the lines of the file that led to it.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "gain.toml"
    >>> text = 'matrices = { W = { variance = "nu_W" } }\ninput_maps = { F = {} }\nreadouts = { C = {} }\n'
    >>> _ = path.write_text(text + 'states = { h = {} }\nupdates = { h = "W @ h + F @ x" }\noutput = "C @ h"\n')
    >>> wp.load_model(path)
    Recursion(gain: h' = F@x + W@h; y = C@h')
    """
    found = place_of(str(where))
    if found is None:
        hint = "For example ./my_rnn.py:rnn; models of the gallery are functions of wideproof.models."
        raise LanguageError("load_model", f"{FORMS} or package.module:NAME", shortened(repr(str(where))), hint)
    model = read_model(found)
    for option in options:
        if option not in model.options:
            known = ", ".join(model.options) or "none"
            raise ParameterError(f"load_model {where}", f"options among: {known}", option, "Leave it out.")
    return model.make(**options)


# ---- declared files -------------------------------------------------------------------------------------
def _toml(where: ModelPlace) -> WrittenModel:
    path = Path(where.place)
    if where.name:
        raise LanguageError(where.place, "a file without a name", where.name, "A TOML file declares one model.")
    _check_is_file(where.place)
    try:
        with path.open("rb") as stream:
            text = stream.read(BYTES + 1).decode("utf-8-sig")
    except UnicodeDecodeError:
        hint = "Save it in UTF-8."
        raise LanguageError(where.place, "text in UTF-8", "other bytes, or too many of them", hint) from None
    except OSError as error:
        hint = "Check who may read it."
        raise LanguageError(where.place, "a file that can be read", error.strerror, hint) from None
    try:
        model = recursion_of(text, path.stem)
    except DeriveError as error:
        raise error.within(where.place) from None
    return WrittenModel(lambda: model)


def _check_is_file(place: str) -> None:
    try:
        is_file, is_folder = Path(place).is_file(), Path(place).is_dir()
    except (OSError, ValueError):  # a name with a zero byte, or longer than any
        is_file, is_folder = False, False
    if not is_file:
        got = "a folder" if is_folder else "nothing there"
        raise LanguageError(place, "a file that exists", got, f"Write {FORMS}; the working folder is {Path.cwd()}.")


# ---- names of a module ----------------------------------------------------------------------------------
def _models(module: ModuleType) -> dict[str, Model]:
    """The models of a module, each under its first public name."""
    found: dict[str, Model] = {}
    for name, value in vars(module).items():
        if name.startswith("_") or any(value is other for other in found.values()):
            continue
        if isinstance(value, Model):
            found[name] = value
    return found


def _functions(module: ModuleType) -> list[str]:
    """The functions that a module defines itself."""
    own = {name: value for name, value in vars(module).items() if inspect.isfunction(value)}
    return [name for name, value in own.items() if value.__module__ == module.__name__ and not name.startswith("_")]


def _only(where: ModelPlace, module: ModuleType) -> str:
    found = _models(module)
    if len(found) == 1:
        return next(iter(found))
    names = [*found, *([] if found else _functions(module))]
    got = f"{_listed(names)}: {len(found)} of them are models" if found else f"no model; functions: {_listed(names)}"
    hint = f"For example {where.place}:{names[0] if names else 'rnn'}."
    raise LanguageError(where.place, "a name after a colon, or one Recursion in it", got, hint)


def _missing(where: ModelPlace, module: ModuleType, name: str) -> LanguageError:
    names = [*_models(module), *_functions(module)]
    hint = meant(name, names).strip() or "Name a Recursion, or a function that returns one."
    return LanguageError(where.place, f"one of its names: {_listed(names)}", shortened(repr(name)), hint)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "") or "none"


def _as_model(place: str, name: str, folder: Path | None, value: Any) -> WrittenModel:
    where = f"{place}:{name}"
    if isinstance(value, Model):
        return WrittenModel(lambda: _whole(where, value))
    if not callable(value):
        raise _no_model(where, value)
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        raise _no_model(where, value) from None
    fixed = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    if fixed:
        hint = "Its arguments become options, which have names."
        raise LanguageError(where, "a function of named arguments", f"{name}{signature}", hint)
    options = {key: p for key, p in signature.parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}

    def make(**given: Any) -> Model:
        missing = [key for key, p in options.items() if p.default is p.empty and key not in given]
        if missing:
            raise ParameterError(
                where, f"the options {', '.join(missing)}", "none of that name", "They have no defaults."
            )
        made = called_by_user(where, folder, value, given)
        if not isinstance(made, Model):
            raise _no_model(where, made, "it returned ")
        return _whole(where, made)

    return WrittenModel(make, options)


def _whole(where: str, model: Model) -> Model:
    """The model, if it is complete: its error, with the place, if not."""
    try:
        model.program()
    except DeriveError as error:
        raise error.within(where) from None
    return model


def _no_model(where: str, value: Any, how: str = "") -> LanguageError:
    kind = type(value).__name__ if value is not None else "None"
    return LanguageError(
        where,
        "a Recursion, an Alternating, or a function that returns one",
        f"{how}{'a class' if isinstance(value, type) else f'an object of type {kind}'}",
        "For example rnn = wideproof.Recursion('rnn').",
    )
