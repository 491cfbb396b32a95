"""The errata of the paper: what it says or leaves open, and what is true; `numeric.paper.errata` checks each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Erratum:
    """One claim of the paper as it stands or must be read, and its corrected form.

    `wording` says whether the paper's own words are known ("visible") or the display was restored ("restored").
    `printed` holds readings of the paper's formula, as `wideproof.check` takes them; the referee refutes each.
    """

    item: str
    where: str
    claim: str
    corrected: str
    wording: str
    printed: tuple[str, ...] = ()


ERRATA: tuple[Erratum, ...] = (
    Erratum(
        "E1",
        "section 2, stability",
        "The spectral condition at width n is nu_W < 1.",
        "The radius tends to sqrt(nu_W), neither nu_W nor the operator norm 2 sqrt(nu_W); nu_W < 1 is a "
        "condition on the limit only, and draws of finite width near it are often unstable.",
        "restored",
        ("nu_W", "2*sqrt(nu_W)"),
    ),
    Erratum(
        "E2",
        "(24)",
        "At every width E|L_t|^2 = n_x n_y nu_C nu_F nu_W^t.",
        "This is a limit; at width n the ratio is an explicit polynomial in 1/n, 1 + 2/n^2 at t = 2.",
        "restored",
        ("nu_C*nu_F*nu_W**2",),
    ),
    Erratum(
        "E3",
        "(22) and the text after it",
        "rho_j is bounded by a power of nu_W, and higher delay has lower weight.",
        "A pure power needs the exponent j - 1 and a constant that grows with T, or the factor j + 1; and rho_j "
        "rises up to a peak where nu_C nu_F > (1 - nu_W)(nu_C + nu_F).",
        "visible",
        ("nu_W**j*(nu_C + nu_F + T*nu_C*nu_F)", "nu_W**j*rho_max", "nu_W**(j - 1)*rho_max"),
    ),
    Erratum(
        "E4",
        "Theorem 4.1, (25)",
        "There are constants B_1 and B_2.",
        "B_2 contains the error at the start |y - Toep L^0|, which is random and unbounded: it is a constant for "
        "a given start, or bounded in expectation.",
        "visible",
    ),
    Erratum(
        "E5",
        "Theorem 4.1, (25)",
        "The movement of every lag is at most B_2 rho_t l.",
        "For the RNN only in the limit, and not uniformly in t: the kernel couples lags by about "
        "sqrt(rho_t rho_j / n), so it shows for n well above rho_0 / rho_t.",
        "restored",
    ),
    Erratum(
        "E6",
        "Proposition 3.1, (16)",
        "The smallest eigenvalue of the kernel on the training set is positive.",
        "The kernel has rank at most T n_x n_y on the N T n_y outputs of N sequences, so this fails whenever N > n_x.",
        "restored",
    ),
    Erratum(
        "E7",
        "Appendix C",
        "For non-constant functions the Gram operator A A* of the earlier steps has full rank almost surely.",
        "Two steps may use one vector: the Gram matrix is then singular, and a generalised inverse or the "
        "covariance form is needed.",
        "visible",
    ),
    Erratum(
        "E8",
        "(81)",
        "The fresh part is projected on the subspace orthogonal to the kernel of A.",
        "It is projected on the kernel of A, which maps a matrix to its products with the earlier steps; "
        "otherwise the condition itself is violated.",
        "visible",
    ),
    Erratum(
        "E9",
        "section 4, combined decay",
        "The impulse response decays like the bound (25).",
        "Its initial part decays like nu_W^{t/2}, slower than the learned part t nu_W^{t-1}: (24) is a square, "
        "(25) is not.",
        "restored",
    ),
    Erratum(
        "E10",
        "wording",
        "The end of B.3 proves part (a); 'Lemma C.1 hows'; (29) for all bounded f.",
        "It proves part (b); 'shows'; (29) holds for all bounded continuous f.",
        "visible",
    ),
    Erratum(
        "E11",
        "Lemma C.1",
        "The tangent of a recursion is covered by the lemma.",
        "Its maps must be Lipschitz; the tangent map phi'(q) dq of a non-linear recursion is not, and needs the "
        "theorem for polynomially bounded maps.",
        "restored",
    ),
    Erratum(
        "E12",
        "(62)",
        "The step size is at most B_1.",
        "B_1 is for half the sum of squares; for a mean over the N T n_y outputs of N sequences it is N T n_y / 2 "
        "times as large.",
        "restored",
    ),
)
