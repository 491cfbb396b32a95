"""Formulas and proofs of the gallery, pasted into an article with a column of 6.5 in: no overfull line."""

import shutil
import subprocess

import pytest

from wideproof import derive
from wideproof.derive import models
from wideproof.derive.language.errors import DeriveError

QUANTITIES = (
    "impulse_response", "scale_factors", "equivalent_convolution", "nngp", "ntk", "state_evolution", "adjoint",
    "scale_factor_bound", "scale_factor_peak", "training_bound", "stability", "memory",
)  # fmt: skip
ARTICLE = r"""\documentclass{article}
\usepackage[textwidth=6.5in]{geometry}\usepackage{amsmath,amssymb,amsthm}
\begin{document}
%s
\end{document}
"""
NEEDS_TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not on PATH")


def gallery():
    for name in models.__all__:
        rnn = getattr(models, name)()
        for quantity in QUANTITIES:
            try:
                derivation = getattr(derive, quantity)(rnn)
            except DeriveError:
                continue
            yield f"{name}-{quantity}".replace("_", "-"), derivation


def compiled(body, folder):
    """What pdflatex complains of: lines that are too wide, pages that are too high, and errors."""
    (folder / "a.tex").write_text(ARTICLE % body, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "a.tex"]
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "a.log").read_text(encoding="latin-1")
    assert "Output written" in log, log[-2000:]
    return [line for line in log.splitlines() if line.startswith(("Overfull", "!"))]


@NEEDS_TEX
def test_pasted_formulas_and_proofs_fit_the_column(tmp_path):
    body = []
    for name, derivation in gallery():
        body += [f"\\typeout{{{name}}}", *(f"\\[{part}\\]" for part in derivation.formula.displays())]
        if len(derivation.formula.displays()) < 4:
            body.append(f"\\[{derivation.formula.latex()}\\]")
        body.append(derivation.proof.latex(name))
    assert len(body) > 150
    assert compiled("\n".join(body), tmp_path) == []


@NEEDS_TEX
def test_a_line_that_is_too_wide_is_noticed(tmp_path):
    wide = derive.ntk(models.elman("relu")).formula.latex().replace("\\\\", "")
    assert any("Overfull" in line for line in compiled(f"\\[{wide}\\]", tmp_path))
