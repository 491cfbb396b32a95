"""What a report is made of: frozen blocks that hold content and no layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeAlias

from wideproof.derive.latex.text import Cite, DocumentError, Latex, Ref, Text, require_latex

Kind: TypeAlias = Literal["theorem", "lemma", "proposition", "corollary", "definition", "remark"]
KINDS: tuple[Kind, ...] = ("theorem", "lemma", "proposition", "corollary", "definition", "remark")


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Text


@dataclass(frozen=True)
class Equation:
    """A displayed formula, numbered exactly when it has a label.  Errors: `DocumentError` unless `Latex`."""

    body: Latex
    label: str | None = None

    def __post_init__(self) -> None:
        require_latex("Equation", self.body)


@dataclass(frozen=True)
class Theorem:
    """A numbered statement; all kinds share one count.  Errors: `DocumentError` for an unknown kind."""

    body: tuple[Block, ...]
    kind: Kind = "theorem"
    title: Text = ""
    label: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DocumentError("Theorem", " or ".join(KINDS), self.kind, "Choose one of these kinds.")


@dataclass(frozen=True)
class Proof:
    """An argument read as mathematics, closed by a box; `title` replaces the word Proof."""

    body: tuple[Block, ...]
    title: Text = ""


@dataclass(frozen=True)
class Table:
    """A captioned table.  Shapes: heads (k), each row (k), align k of `lcrX`, where the words of X are wrapped.

    Errors: `DocumentError`.
    """

    heads: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: Text
    label: str | None = None
    align: str = ""

    def __post_init__(self) -> None:
        columns = len(self.heads)
        object.__setattr__(self, "align", self.align or "l" * columns)
        if not re.fullmatch(f"[lcrX]{{{columns}}}", self.align):
            raise DocumentError("Table.align", f"{columns} letters of lcrX", repr(self.align), "One per column.")
        for i, row in enumerate(self.rows):
            if len(row) != columns:
                raise DocumentError(f"Table row {i}", f"{columns} cells", len(row), "One cell per head.")


@dataclass(frozen=True)
class Figure:
    """A captioned picture, `stem`.pdf and `stem`.svg; `alt` tells it to those who cannot see it.

    Units: width as a fraction of the line.  Errors: `DocumentError` for a file name LaTeX would misread.
    """

    stem: Path
    caption: Text
    alt: str
    label: str | None = None
    width: float = 0.85

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", self.stem.name):
            raise DocumentError("Figure.stem", "letters, digits and -", repr(self.stem.name), "Rename the file.")


@dataclass(frozen=True)
class Itemize:
    """A list whose order does not matter."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Enumerate:
    """A numbered list."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Listing:
    """Lines of a program, set as they are.  Errors: `DocumentError` where a line would end the listing."""

    text: str

    def __post_init__(self) -> None:
        if re.search(r"\\(begin|end)\s*\{", self.text):
            raise DocumentError("Listing", "no \\begin or \\end", repr(self.text), "Use a Code inline.")


@dataclass(frozen=True)
class Section:
    """A titled part; sections inside it are subsections."""

    title: Text
    body: tuple[Block, ...]
    label: str | None = None


Block: TypeAlias = Paragraph | Equation | Theorem | Proof | Table | Figure | Itemize | Enumerate | Listing | Section
BLOCKS = (Paragraph, Equation, Theorem, Proof, Table, Figure, Itemize, Enumerate, Listing, Section)
NOUNS: dict[type[Block], str] = {Table: "Table", Figure: "Figure", Section: "Section"}


@dataclass(frozen=True)
class Document:
    """A whole report; `bibliography` lists entries to print even where no sentence cites them."""

    title: Text
    abstract: Text
    sections: tuple[Section, ...]
    author: Text = ""
    date: str = ""
    bibliography: tuple[str, ...] = ()


def titled(document: Document, own: Mapping[str, str]) -> Document:
    """The document with a title, author and date of its reader's, where they are given and not empty."""
    return replace(document, **{name: text for name, text in own.items() if text})  # type: ignore[arg-type]


def walk(node: object) -> Iterator[object]:
    """Every block and inline under a node, the node first, in reading order."""
    yield node
    if isinstance(node, tuple):
        children: tuple[object, ...] = node
    elif isinstance(node, (Document, *BLOCKS)):
        children = tuple(getattr(node, field.name) for field in fields(node))
    else:
        return
    for child in children:
        yield from walk(child)


def labels(document: Document) -> dict[str, str]:
    """Label -> the word before its number ("" for an equation).

    Errors: `DocumentError` for a label used twice or misspelt, and for a reference to no label.
    """
    found: dict[str, str] = {}
    for node in walk(document):
        label = getattr(node, "label", None)
        if isinstance(node, BLOCKS) and label is not None:
            _check_label(label, found)
            found[label] = node.kind.capitalize() if isinstance(node, Theorem) else NOUNS.get(type(node), "")
    for node in walk(document):
        if isinstance(node, Ref) and node.label not in found:
            raise DocumentError("Ref", f"one of {sorted(found)}", repr(node.label), "Label the block it means.")
    return found


def _check_label(label: str, found: dict[str, str]) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9:-]*", label):
        raise DocumentError("label", "letters, digits, : and -", repr(label), "Rename it, as in thm:main.")
    if label in found:
        raise DocumentError("label", "each label once", repr(label), "Rename one of the two blocks.")


def citations(document: Document) -> tuple[str, ...]:
    """The keys a document needs from the bibliography, in order of first use."""
    cited = [node.key for node in walk(document) if isinstance(node, Cite)]
    return tuple(dict.fromkeys([*cited, *document.bibliography]))


def figures(document: Document) -> tuple[Figure, ...]:
    """The figures of a document.  Errors: `DocumentError` where two different files share a name."""
    found: dict[str, Figure] = {}
    for node in walk(document):
        if isinstance(node, Figure) and found.setdefault(node.stem.name, node).stem != node.stem:
            raise DocumentError("Figure.stem", "one file per name", repr(node.stem.name), "Rename one of the two.")
    return tuple(found.values())
