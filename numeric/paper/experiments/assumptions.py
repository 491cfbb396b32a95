"""The choices of an experiment: each with its meaning, and whether the paper states it or we assume it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from wideproof.derive.language.errors import ParameterError

KINDS: dict[type, str] = {int: "a whole number", float: "a number"}
WIDEST = 10_000  # an n × n matrix of doubles is then 800 MB
Value = TypeVar("Value")
Setting = TypeVar("Setting")


def choice(default: Value, meaning: str, stated: bool = False) -> Value:
    """A dataclass field with its default, its meaning in words, and whether the paper states the value."""
    found: Value = field(default=default, metadata={"meaning": meaning, "stated": stated})
    return found


@dataclass(frozen=True)
class Assumption:
    """One named choice as it stands: `stated` by the paper, otherwise our assumption."""

    name: str
    value: Any
    meaning: str
    stated: bool

    @property
    def text(self) -> str:
        """The value as one would type it on the command line."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return ",".join(f"{x:g}" if isinstance(x, float) else whole(x) for x in values)


def whole(x: int) -> str:
    """A whole number; a large power of ten as one."""
    power = len(str(x)) - 1
    return f"1e{power}" if power > 3 and x == 10**power else str(x)


def choices(setting: Any) -> tuple[Assumption, ...]:
    """Every choice of an experiment's setting, in the order of its definition."""
    return tuple(
        Assumption(f.name, getattr(setting, f.name), f.metadata["meaning"], f.metadata["stated"])
        for f in fields(setting)
        if "meaning" in f.metadata
    )


def chosen(setting: Setting, changes: dict[str, str]) -> Setting:
    """The setting with the changes that name one of its choices, each read as the type of that choice.

    Errors: ParameterError for text that is no such number, and those of the setting itself.
    """
    kinds = get_type_hints(type(setting))
    own = {c.name for c in choices(setting)}
    return replace(setting, **{n: _read(n, t, kinds[n]) for n, t in changes.items() if n in own})  # type: ignore[type-var]


def check_width(where: str, width: int) -> None:
    """Refuse widths whose matrices would not fit: ParameterError below 1 and above WIDEST."""
    if not 1 <= width <= WIDEST:
        hint = "This experiment draws whole matrices; figure 1 trains any width in law."
        raise ParameterError(where, f"a width of 1 to {WIDEST}", width, hint)


def _read(name: str, text: str, kind: Any) -> Any:
    try:
        if get_origin(kind) is tuple:
            return tuple(_number(part, get_args(kind)[0]) for part in text.split(","))
        return _number(text, kind)
    except ValueError:
        word = "numbers separated by commas" if get_origin(kind) is tuple else KINDS[kind]
        raise ParameterError(f"--set {name}", word, repr(text), f"Such as --set {name}=1.") from None


def _number(text: str, kind: type) -> Any:
    """Whole numbers may be written as 1e9."""
    if kind is int and float(text) == int(float(text)):
        return int(text) if text.strip().lstrip("-").isdigit() else int(float(text))
    return kind(text)
