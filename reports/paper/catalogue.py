"""Every numbered item of the paper, by its name on the command line."""

from __future__ import annotations

from wideproof.numeric.paper.experiments import (
    BoundSizes,
    DrawSizes,
    KernelSizes,
    Ladder,
    RankSizes,
    RealizationSizes,
    ResponseSizes,
    Setting,
    Sizes,
    StateSizes,
    Variances,
)
from wideproof.reports.paper import kernel_regime, lemmas, theory, training_bound
from wideproof.reports.paper.errata import ERRATUM_ITEMS
from wideproof.reports.paper.figures import FIGURE_ITEMS
from wideproof.reports.paper.item import Item, laws
from wideproof.reports.paper.width_gaps import gaps_of

THEORY_ITEMS = (
    Item("prop-2.1a", "Proposition 2.1(a)", "every linear RNN is a convolution", theory.proposition_21a),
    Item("prop-2.1b", "Proposition 2.1(b)", "every convolution is a linear RNN", theory.proposition_21b,
         settings=(RealizationSizes,)),
    Item("prop-3.1", "Proposition 3.1", "the kernel regime", kernel_regime.proposition_31,
         measures=(kernel_regime.linearised, gaps_of), settings=(Setting, Sizes, Ladder, RankSizes)),
    Item("thm-3.2", "Theorem 3.2", "the kernel of the scaled convolution", theory.theorem_32),
    Item("thm-3.3a", "Theorem 3.3(a)", "the impulse response", theory.theorem_33a,
         measures=(laws,), settings=(Variances, DrawSizes)),
    Item("thm-3.3b", "Theorem 3.3(b)", "the tangent kernel", theory.theorem_33b,
         measures=(laws, theory.kernel_gap), settings=(Variances, DrawSizes, KernelSizes)),
    Item("eq-22", "Equation (22)", "the bound on the scale factors", theory.equation_22),
    Item("thm-4.1", "Theorem 4.1", "how far training moves each lag", training_bound.theorem_41,
         measures=(training_bound.bound_run,), settings=(Setting, BoundSizes)),
    Item("lemma-b.1", "Lemma B.1", "the tangent kernel as a covariance", lemmas.lemma_b1,
         measures=(laws,), settings=(Variances, ResponseSizes, DrawSizes)),
    Item("lemma-c.1", "Lemma C.1", "state evolution", lemmas.lemma_c1,
         measures=(lemmas.rows_gap, lemmas.state_gap), settings=(Variances, StateSizes)),
)  # fmt: skip
ITEMS: dict[str, Item] = {item.name: item for item in (*THEORY_ITEMS, *FIGURE_ITEMS, *ERRATUM_ITEMS)}
