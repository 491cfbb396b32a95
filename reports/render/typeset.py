"""A document set as LaTeX: each block by the template that bears its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wideproof.derive.latex.text import Cite, Code, Emph, Inline, Latex, Math, Ref, Text, clean, escape, inlines, plain
from wideproof.reports.document.assets import templates
from wideproof.reports.document.blocks import BLOCKS, Block, Document, Equation, Paragraph, Section, citations, labels
from wideproof.reports.render.bibliography import extract
from wideproof.reports.render.glyphs import glyphs

LEVELS = ("section", "subsection", "subsubsection")


def finalize(value: object) -> Latex:
    """Escape whatever a template prints, unless its type says that it is LaTeX."""
    return escape(value if isinstance(value, str) else str(value))


def environment() -> Environment:
    """The template language: own delimiters, a missing name is an error, every value is escaped."""
    return Environment(
        loader=FileSystemLoader(templates()), undefined=StrictUndefined, finalize=finalize, autoescape=False,
        block_start_string=r"\BLOCK{", block_end_string="}", variable_start_string="<<",
        variable_end_string=">>", comment_start_string=r"\#{", comment_end_string="}",
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def typeset(document: Document) -> Latex:
    """The LaTeX source of a report; the same document gives the same text.

    Errors: `DocumentError` for labels and citations that do not resolve.
    """
    names, keys = labels(document), citations(document)
    extract(keys)
    template = _Setter(names, environment()).env.get_template("document.tex.j2")
    source = template.render(document=document, cited=bool(keys), glyphs=[])
    odd = [(Latex(code), Latex(shape)) for code, shape in glyphs(source)]
    source = template.render(document=document, cited=bool(keys), glyphs=odd)
    return Latex(re.sub(r"\n{3,}", "\n\n", source).strip() + "\n")


class _Setter:
    """The filters of one document: they know its labels and how deep a section lies."""

    def __init__(self, names: Mapping[str, str], env: Environment) -> None:
        self.names, self.env, self.depth = names, env, 0
        env.filters |= {
            "tex": self.tex, "plain": lambda text: escape(plain(text)), "label": _label,
            "cells": lambda row: Latex(" & ".join(self.tex(cell) for cell in row)),
            "verbatim": _verbatim,
        }  # fmt: skip

    def tex(self, content: Text | tuple[Block, ...]) -> Latex:
        """Blocks, or a text, as LaTeX."""
        if isinstance(content, tuple) and content and isinstance(content[0], BLOCKS):
            return self.blocks(content)
        return Latex("".join(self.inline(part) for part in inlines(cast(Text, content))))

    def blocks(self, blocks: tuple[Block, ...]) -> Latex:
        """Blocks one under the other; a displayed formula stays in the paragraph that leads to it."""
        text = self.block(blocks[0])
        for before, block in pairwise(blocks):
            joint = "\n" if isinstance(before, Paragraph) and isinstance(block, Equation) else "\n\n"
            text = Latex(text + joint + self.block(block))
        return text

    def block(self, block: Block) -> Latex:
        """One block, by its template."""
        context: dict[str, object] = {"block": block}
        if isinstance(block, Section):
            context["command"] = Latex(LEVELS[min(self.depth, len(LEVELS) - 1)])
            self.depth += 1
        name = f"{type(block).__name__.lower()}.tex.j2"
        text = self.env.get_template(name).render(context).strip("\n")
        self.depth -= isinstance(block, Section)
        return Latex(text)

    def inline(self, part: Inline) -> Latex:
        """One inline; a reference says what it refers to."""
        match part:
            case Math(body):
                return Latex(f"${body}$")
            case Emph(text):
                return Latex(rf"\emph{{{escape(text)}}}")
            case Code(text):
                return Latex(rf"\texttt{{{escape(text)}}}")
            case Cite(key, note):
                return Latex(rf"\cite[{{{escape(note)}}}]{{{key}}}" if note else rf"\cite{{{key}}}")
            case Ref(label):
                noun = self.names[label]
                return Latex(rf"{noun}~\ref{{{label}}}" if noun else rf"\eqref{{{label}}}")
            case _:
                return escape(part)


def _label(block: object) -> Latex:
    name = getattr(block, "label", None)
    return Latex(rf"\label{{{name}}}" if name else "")


def _verbatim(block: object) -> Latex:
    lines = str(getattr(block, "text", "")).expandtabs(4).splitlines()
    return Latex("\n".join(" " * (len(line) - len(line.lstrip())) + clean(line.strip()) for line in lines))
