"""LaTeX of the main formulas, to the letter."""

import pytest
import sympy as sp

from wideproof.derive.language.notation import j, k, latex_name, s, t
from wideproof.derive.latex.printer import latex

GOLDEN = {
    ("linear_rnn", "scale_factors"): r"\nu_C\,\nu_F\,j\,\nu_W^{j - 1} + \nu_C\,\nu_W^{j} + \nu_F\,\nu_W^{j}",
    ("linear_rnn", "impulse_response"): r"\nu_C\,\nu_F\,\nu_W^{j}",
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case, derived):
    assert derived(*case).formula.latex() == GOLDEN[case]


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (t - j, "t - j"),
        (s - j, "s - j"),
        (j - 1, "j - 1"),
        (j + 1, "j + 1"),
        (t - j - 1, "t - j - 1"),
        (1 - j, "1 - j"),
        (j + k, "j + k"),
        (2 * j - 1, r"2\,j - 1"),
    ],
)
def test_indices_read_forward(expr, text):
    assert latex(expr) == text


def test_notebooks_show_display_style(derived):
    derivation = derived("linear_rnn", "scale_factors")
    assert derivation._repr_latex_() == rf"$\displaystyle {derivation.formula.latex()}$"


def test_every_claim_prints_without_names_of_classes(derivation):
    program = derivation.program
    for step in derivation.proof.steps:
        for part in ("left", "right"):
            value = getattr(step.claim, part, None)
            if value is not None:
                text = latex(sp.sympify(value), program)
                assert "#" not in text
                assert "operatorname" not in text, text
                assert text.count("{") == text.count("}")


def test_names_of_parameters():
    assert latex_name("nu_W") == r"\nu_W"
    assert latex_name("nu_V") == r"\nu_{V}" or latex_name("nu_V") == r"\nu_V"
    assert latex_name("rho") == r"\rho"
