"""The gallery: each model with its equations, its limits and a picture of them, all of it derived at build."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import sympy as sp

import wideproof as wp
from wideproof.derive.latex.notebook import written
from wideproof.derive.latex.printer import latex
from wideproof.numeric.validation.kernels.experiment import KERNEL_DEFAULTS
from wideproof.reports.write.figures import DASHES
from wideproof.reports.write.picture import STYLE, canvas, save

HEAD = """# Gallery

The models that come with wideproof: what they are, their limits, and what they remember. Each section is made at the
build of these pages by `wideproof.nngp` and `wideproof.ntk`; the pictures by `wideproof.Kernel`, at the variances below
them.

"""
STEPS, FEW = 12, 6
"""Steps of the picture's sequences; of gated models, whose kernels are sampled, fewer."""
GATED = ("gru", "mgu", "lstm")
VALUES = KERNEL_DEFAULTS | {"nu_W": 0.9, "nu_F": 1.0}
SLOW = {"residual": {"nu_W": 0.05, "nu_F": 0.1}}
NAME = r"(?<![\w`{])(?:theta|[A-Za-z])(?:\^\w)?(?:_(?:\{[^}]*\}|\w))"
FORMULA = re.compile(rf"(?:{NAME}|(?<=for )y|(?<=layers )h\^l|(?<=net )h\^l) = [^,;:]*(?<![.\s])|{NAME}")
LETTERS = {"phi": r"\varphi", "alpha": r"\alpha", "theta": r"\theta"}
NAMES = {"nngp": "NNGP", "ntk": "tangent"}


def write(folder: Path) -> None:
    """Write the page and its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    recursions = [name for name in wp.models.__all__ if isinstance(getattr(wp.models, name)(), wp.Recursion)]
    names = sorted(recursions, key=lambda name: getattr(wp.models, name).__code__.co_firstlineno)
    (folder / "gallery.md").write_text(HEAD + "".join(_model(name, folder) for name in names) + _amp(folder),
                                       encoding="utf-8")  # fmt: skip


def _model(name: str, folder: Path) -> str:
    rnn = getattr(wp.models, name)()
    text = f"## {rnn.name}\n\n{_summary(name)}\n\n{_html(written(rnn))}\n"
    for quantity, words in (("nngp", "NNGP kernel"), ("ntk", "Tangent kernel")):
        found = getattr(wp, quantity)(rnn)
        formulas = "".join(f"$$\n{part}\n$$\n\n" for part in found.formula.displays())
        how = f"{len(found.proof.steps)} steps of proof"
        text += f"<details><summary>{words}: {how}</summary>\n\n{formulas}</details>\n\n"
    return text + _pictured(name, rnn, folder)


def _summary(name: str) -> str:
    first = (getattr(wp.models, name).__doc__ or "").split("\n\n")[0].split("  Source:")[0]
    return f"`wideproof.models.{name}()`: " + _with_maths(" ".join(first.split()))


def _with_maths(words: str) -> str:
    """The words as Markdown, with what is written as a formula set as one."""
    parts, end = [], 0
    for match in FORMULA.finditer(words):
        body = re.sub(r"\b(phi|alpha|theta)(?![a-z])", lambda m: LETTERS[m[1]], match[0])
        parts += [re.sub(r"([*_|^<>])", r"\\\1", words[end : match.start()]), f"${body}$"]
        end = match.end()
    return "".join([*parts, re.sub(r"([*_|^<>])", r"\\\1", words[end:])])


def _html(text: str) -> str:
    """What a notebook shows, as Markdown with mathematics of its own."""
    text = re.sub(r'<div style="[^"]*">\$\$(.*?)\$\$</div>', r"\n\n$$\1$$\n\n", text, flags=re.DOTALL)
    text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    text = re.sub(r"<div><strong>.*?</strong></div>", "", text)
    return re.sub(r"</?ul>", "\n", text).replace("<li>", "- ").replace("</li>", "\n")


def _pictured(name: str, rnn: wp.Recursion, folder: Path) -> str:
    """The likeness of two runs whose first inputs are orthogonal and whose later ones are equal, step by step."""
    steps = FEW if name in GATED else STEPS
    values = {x: (VALUES | SLOW.get(name, {}))[x] for x in rnn.program().symbols}
    first, later = np.eye(2), np.ones((2, steps - 1, 2)) / np.sqrt(2)
    X = np.concatenate([first[:, None, :], later], axis=1)
    kernel = wp.Kernel(rnn, points=1024, **values)
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
    for quantity, dash in zip(NAMES, DASHES, strict=False):
        value = np.asarray(getattr(kernel, quantity)(X))
        at = np.arange(steps)
        inner = value[0, at, 1, at] / np.sqrt(value[0, at, 0, at] * value[1, at, 1, at])
        axes.plot(at, inner, linestyle=dash, marker="o", label=f"{NAMES[quantity]} kernel")
        figure.shows(f"{NAMES[quantity]} kernel", at, inner)
    axes.set(xlabel="step $t$", ylabel="correlation of two runs")
    with mpl.rc_context(STYLE):
        axes.legend()
    save(figure, folder, f"gallery-{name}")
    said = ", ".join(f"${latex(sp.Symbol(x))} = {value:g}$" for x, value in values.items())
    alt = (f"Correlation of two runs of {rnn.name} that differ in their first input, by NNGP and tangent kernel: "
           f"{inner[0]:.2f} at step 0, {inner[-1]:.2f} at step {steps - 1} (tangent)")  # fmt: skip
    text = "Two runs with orthogonal first inputs and equal later ones: the normalised kernels between them."
    return f"![{alt}](gallery-{name}.svg)\n\n{text} {said}.\n\n"


def _amp(folder: Path) -> str:
    run = wp.models.amp(steps=6)
    thetas = {f"theta_{t}": 1.1 for t in range(6)}
    found = wp.line_evolution(run)(delta=0.5, epsilon=0.1, nu_w=0.001, **thetas)
    error = [float(value) for key, value in found.items() if str(key).startswith("MeanSquare(error")]
    figure, (axes,) = canvas()
    axes.semilogy(range(len(error)), error, "o-")
    figure.shows("state evolution", range(len(error)), error)
    axes.set(xlabel="step $t$", ylabel="mean square error")
    save(figure, folder, "gallery-amp")
    alt = f"Mean square error of amp by state evolution, falling from {error[0]:.3g} to {error[-1]:.3g} in six steps"
    limits = wp.state_evolution(wp.models.amp(steps=1)).formula.displays()
    formulas = "".join(f"$$\n{part}\n$$\n\n" for part in limits)
    folded = f"<details><summary>State evolution of one step</summary>\n\n{formulas}</details>"
    text = ("The limits by `wideproof.line_evolution`, at $\\delta = 0.5$, $\\epsilon = 0.1$, $\\nu_w = 0.001$ and "
            "thresholds 1.1.")  # fmt: skip
    return f"## amp\n\n{_summary('amp')}\n\n{folded}\n\n![{alt}](gallery-amp.svg)\n\n{text}\n"
