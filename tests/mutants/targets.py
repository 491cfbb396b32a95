"""The modules whose mistakes are tried, by what they are to the proof."""

from __future__ import annotations

ROOMS = {
    "definition": (
        "derive.calculus.tangent", "derive.calculus.moments", "derive.language.variants",
        "derive.expectation.symbolic_expectation", "derive.algebra.linear_recurrences", "derive.limits.kernels",
        "derive.calculus.recursion_rules", "derive.calculus.starts", "derive.calculus.lags",
        "derive.calculus.innovations", "derive.calculus.gaussian_process", "derive.limits.adjoint",
        "derive.polynomial_recursions.index_sums", "derive.polynomial_recursions.output_trees",
        "derive.polynomial_recursions.output_moments",
        "derive.linear.convolution", "derive.linear.finite_width", "derive.linear.matrix_words",
        "derive.linear.trace_means", "derive.linear.width_bound", "derive.linear.realization",
        "derive.linear.scale_factor_bounds", "derive.linear.gradient_descent", "derive.linear.gradient_flow",
        "derive.linear.momentum", "derive.linear.spectral_radius", "derive.linear.errata",
        "derive.memory_horizon.memory", "derive.limits.output_mean", "derive.calculus.linear_reads",
        "derive.algebra.perron_roots", "derive.memory_horizon.memory_rules", "derive.memory_horizon.two_run_maps",
        "derive.alternating.averages", "derive.alternating.conditioning", "derive.alternating.corrections",
        "derive.alternating.line_limits", "derive.alternating.terms",
    ),
    "table": (
        "derive.expectation.dual_activations", "derive.expectation.piecewise_linear",
        "derive.expectation.kinked_times_smooth", "derive.expectation.mehler_series",
        "derive.expectation.truncated_moments", "derive.expectation.gauss_legendre",
        "derive.expectation.nested_quadrature", "derive.expectation.steep_places",
        "derive.expectation.wedges.wedge_quadrature", "derive.expectation.wedges.wedge_tables",
        "derive.expectation.tables.coefficient_tables", "derive.expectation.tables.flat_cores",
    ),
    "emitter": (
        "derive.algebra.array_code", "derive.emit.compiled", "derive.emit.formula", "derive.emit.derivation",
        "derive.emit.sweeps.contributions", "derive.expectation.tables.lane_vectors",
    ),
    "evaluator": (
        "derive.emit.kernel_stepper", "derive.emit.lag_grid", "derive.emit.mean_formula",
        "derive.expectation.pair_integrals", "derive.alternating.evaluation", "numeric.kernels.kernel",
        "numeric.kernels.sequence_batches", "numeric.process.evaluation", "numeric.process.layout",
        "numeric.process.paths", "numeric.process.points", "numeric.process.quadrature", "numeric.process.separable",
        "numeric.process.block_cholesky", "numeric.process.digital_nets", "numeric.process.given_paths",
        "derive.emit.sweeps.moment_programs",
    ),
}  # fmt: skip
"""Definitions hold rules beside what rules share; a function decorated with @rule counts as a rule."""
MODULES = {f"wideproof.{name}": room for room, names in ROOMS.items() for name in names}
OUTSIDE_PROOFS = ("table", "emitter", "evaluator")
"""Rooms whose numbers no proof states: an oracle by definition may catch their mutants."""
CHOICES = (
    *(
        f"wideproof.derive.linear.realization:{name}:"
        for name in ("realization", "chebyshev", "_blocks", "_items", "_is_row", "exactly")
    ),
    "wideproof.derive.linear.scale_factor_bounds:bound_paper:",
)
"""Beginnings of ids that no claim is about: what is taken from the user, which nodes are chosen, which of several true
bounds goes by a name."""
WEIGHTS = {"rule": 6, "definition": 6, "table": 2, "emitter": 2, "evaluator": 4}
"""How a sample is shared out: what proofs rest on comes first."""
