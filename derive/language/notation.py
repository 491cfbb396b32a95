"""One table: every letter of the project, its LaTeX, meaning, shape and unit.

The letters are the paper's [emami2021implicit]; where the paper uses one letter twice the code uses the one
listed here (input map F, linear predictor Phi, impulse response L, number of matrices M, horizon T, Toeplitz
operator calligraphic T).
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Letter:
    """One symbol of the field: how it is typeset and what it means."""

    latex: str
    meaning: str
    shape: str = "scalar"
    unit: str = "1"


LETTERS: dict[str, Letter] = {
    "n": Letter("n", "width: number of hidden units"),
    "n_x": Letter("n_x", "inputs per time step"),
    "n_y": Letter("n_y", "outputs per time step"),
    "T": Letter("T", "horizon: number of time steps"),
    "t": Letter("t", "time step of the first sequence", unit="step"),
    "s": Letter("s", "time step of the second sequence", unit="step"),
    "j": Letter("j", "lag", unit="step"),
    "k": Letter("k", "second lag", unit="step"),
    "p": Letter("p", "time of the first impulse", unit="step"),
    "q": Letter("q", "time of the second impulse", unit="step"),
    "x": Letter("x", "input sequence", "(T, n_x)", "input"),
    "y": Letter("y", "output sequence", "(T, n_y)", "output"),
    "h": Letter("h", "hidden state", "(n,)"),
    "W": Letter("W", "transition matrix", "(n, n)"),
    "F": Letter("F", "input map", "(n, n_x)"),
    "C": Letter("C", "readout", "(n_y, n)"),
    "L": Letter("L", "impulse response", "(T, n_y, n_x)", "output/input"),
    "K": Letter("K", "neural tangent kernel", "(N, T, N', T')"),
    "X": Letter("X", "Gram of the inputs, X(t, s) = x_t . x'_s", "(T, T)", "input^2"),
    "rho": Letter(r"\rho", "scale factor of a lag", unit="output^2/input^2"),
    "Theta": Letter(r"\Theta", "tangent weight of a pair of lags", unit="output^2/input^2"),
    "nu_W": Letter(r"\nu_W", "variance of the entries of W"),
    "nu_F": Letter(r"\nu_F", "variance of the entries of F"),
    "nu_C": Letter(r"\nu_C", "variance of the entries of C"),
    "l": Letter(r"\ell", "steps of gradient descent", unit="step"),
    "eta": Letter(r"\eta", "step size of gradient descent"),
    "sigma": Letter(r"\sigma", "eigenvalue of D Toep^T Toep D, Toep the block-Toeplitz data operator"),
    "norm": Letter(r"\lVert \mathcal{T}\rVert", "largest singular value of the data operator"),
    "norm_j": Letter(r"\lVert \mathcal{T}_j\rVert", "largest singular value of its block of lag j"),
    "residual": Letter(r"\lVert u^{(0)}\rVert_F", "length of the error of the outputs at the start"),
    "targets": Letter(r"\lVert y\rVert_F", "length of the targets"),
    "tolerance": Letter(r"\varepsilon", "how far a kernel entry is off", unit="output^2/input^2"),
    "distance": Letter(r"\lVert \Delta L_j\rVert_F", "how far a lag is to move"),
}

n, n_x, n_y, T = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "n_x", "n_y", "T"))
t, s, j, k, m, p, q = (sp.Symbol(name, integer=True, nonnegative=True) for name in "tsjkmpq")


INDICES = "t s j k m p q n i l r c x y z T X n_x n_y sizes inputs X1 X2 same"
"""Letters of derived formulas: times, lags, sizes, rows, columns, inputs, steps, moments of two runs."""
LEARNING = "eta sigma gamma tau time norm norm_j residual targets distance"
"""Letters of training: step size, eigenvalue, friction, times, norms."""
OPTIONS = """
self recursion alternating program derived network readout parameters parameterization backend memory points seed
progress width trials rows method states weights device cotangents Y steps step_size momentum checkpoint horizon level
sampler budget announce dtype stage data columns out_dir engine found limits coefficients source xp onsager across up
matrix drive kernel ridge outputs rate settings redrawn out output json help proof quick all set untied check version
lags figure activation gate bias tied layers depth list_settings install_completion show_completion force jobs executor
scheduler shard folder draws tasks where formula tolerance failure quantity certified closed lag
allow_pickle title author date
"""
"""Arguments of the functions, and options of the commands, that take the symbols of a model beside their own."""
TAKEN = frozenset(f"{INDICES} {LEARNING} {OPTIONS}".split())
"""Names that no symbol of a model may have."""


def parameter(name: str) -> sp.Symbol:
    """The non-negative symbol of a variance; two calls with one name give one symbol."""
    return sp.Symbol(name, nonnegative=True)


def real_parameter(name: str) -> sp.Symbol:
    """The real symbol of a mean, of either sign."""
    return sp.Symbol(name, real=True)


def latex_name(name: str) -> str:
    r"""LaTeX of a letter or an identifier: listed letters as listed, `a_bc` as `a_{bc}`."""
    if name in LETTERS:
        return LETTERS[name].latex
    head, _, tail = name.partition("_")
    head = LETTERS[head].latex if head in LETTERS else sp.latex(sp.Symbol(head))
    if head == "nu":
        head = r"\nu"
    return f"{head}_{{{latex_name(tail) if len(tail) > 1 else tail}}}" if tail else head
