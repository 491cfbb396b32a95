"""What is derived while a mistake is in the engine: quantities of models, their numbers, and oracles by definition.

Importing this imports the engine, so the process of a mutant does it after the mistake is in place.
"""

from __future__ import annotations

import importlib.util
import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import Alternating, Recursion, erf, models, relu
from wideproof.derive.alternating.conditioning import Words, fresh_law, product_law
from wideproof.derive.alternating.evaluation import _Mean
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram
from wideproof.derive.emit.formula import OnSequences
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.linear.realization import realization
from wideproof.numeric import Kernel
from wideproof.numeric.networks.gradients import gradients, run_forward, shape_of, trained

TESTS = Path(__file__).resolve().parents[1]
Numbers = dict[str, Any]
Proofs = list[Any]


@dataclass(frozen=True)
class Item:
    """A quantity: its numbers as a user meets them, and its proofs. An oracle: it raises where a number is wrong."""

    name: str
    run: Callable[[], tuple[Numbers, Proofs]]
    is_oracle: bool = False


# ---- models that the gallery lacks --------------------------------------------------------------------
def basic(name: str) -> tuple[Any, ...]:
    r = Recursion(name)
    return r, r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C")


def redrawn_erf() -> Recursion:
    """W tied, V drawn afresh at each step, inside an activation."""
    r, W, F, C = basic("redrawn-erf")
    V, h = r.matrix("V", "nu_V", tied=False), r.state("h")
    r.update(h, erf(W @ h + V @ h + F @ r.x + r.bias("b", "nu_b", tied=False)))
    r.output(C @ h)
    return r


def started(shared: bool) -> Recursion:
    """Two states with random starts, a skip, biases with means, a bias of the output."""
    r, W, F, C = basic(f"started-{'shared' if shared else 'own'}")
    h, g = r.state("h", initial="nu_0", shared=shared), r.state("g", initial="nu_1", shared=shared)
    b = r.bias("b", "nu_b", mean="mu")
    r.update(h, h / 2 + W @ h + F @ r.x + b)
    r.update(g, relu(r.matrix("U", "nu_U") @ g + r.matrix("V", "nu_V") @ h.next) + g / 3)
    r.output(C @ g + r.bias("c", "nu_c", mean="mu_c"))
    return r


def own_start() -> Recursion:
    """A linear recursion whose start is drawn for each sequence."""
    r, W, F, C = basic("own-start")
    h = r.state("h", initial="nu_0")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    return r


def frozen_relu() -> Recursion:
    """A reservoir with a kink: W and b are not trained."""
    r = Recursion("frozen-relu")
    W, F, C = r.matrix("W", "nu_W", trainable=False), r.input_map("F", "nu_F"), r.readout("C", "nu_C")
    h, b = r.state("h"), r.bias("b", "nu_b", mean="mu", trainable=False)
    r.update(h, relu(W @ h + F @ r.x + b))
    r.output(C @ h)
    return r


def powers() -> Recursion:
    """A product with an activation, at which Stein's rule works."""
    r, W, F, C = basic("powers")
    h = r.state("h")
    z = W @ h + F @ r.x
    r.update(h, z + z * derive.activation("sin")(z) / 3)
    r.output(C @ h)
    return r


def multiplied() -> Recursion:
    """A declared polynomial, a product of states, a redrawn matrix, a bias with a mean, a random start."""
    r, W, F, C = basic("multiplied")
    h = r.state("h", initial="nu_0")
    bent = derive.define("bent_a_little", "z + z**2/4")
    r.update(h, bent(W @ h + F @ r.x) + (r.matrix("V", "nu_V", tied=False) @ h) * r.bias("b", "nu_b", mean="mu"))
    r.output(C @ h + r.bias("c", "nu_c"))
    return r


def smooth_and_kinked() -> Recursion:
    """A sum of tanh and a kink of correlated products."""
    r, W, F, C = basic("smooth-and-kinked")
    h = r.state("h")
    z = W @ h + F @ r.x
    r.update(h, derive.activation("tanh")(z + r.bias("b", "nu_b")) / 2 + relu(z - 1))
    r.output(C @ h)
    return r


def delay() -> Recursion:
    """h reads g, g holds h: a delay line, and two steps back in the output."""
    r, W, F, C = basic("delay")
    h, g = r.state("h"), r.state("g")
    r.update(h, W @ g + F @ r.x)
    r.update(g, h)
    r.output(C @ h + r.readout("D", "nu_D") @ g)
    return r


def there_and_back() -> Alternating:
    """Activations of products with A and its transpose, in turn: every product but the first has corrections."""
    run = Alternating("there-and-back")
    A, h = run.matrix("A", variance="nu_A"), run.source("h", "n", "nu_h")
    phi = derive.activation("tanh")
    for k in range(2):
        h = phi(A.T @ (phi(A @ h) + A @ h / 3)) + h / 2
        run.keep(f"h_{k}", h)
    return run


def corrected() -> Alternating:
    """A source of two components and corrected products, whose averages are Gaussian means of other activations."""
    run = Alternating("corrected")
    A = run.matrix("A", variance="nu_A", aspect="delta")
    h = run.source("h", "n", ((sp.Rational(1, 4), 0), (sp.Rational(3, 4), "nu_h")))
    w, x = run.source("w", "m", "nu_w"), sp.S.Zero
    for k in range(2):
        z = A @ h + w - A.corrected(x) if k else A @ h + w
        x = erf(A.T.corrected(z) + h / 3)
        run.keep(f"x_{k}", x - h)
    return run


OWN: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        redrawn_erf,
        own_start,
        frozen_relu,
        powers,
        smooth_and_kinked,
        multiplied,
        delay,
        there_and_back,
        corrected,
    )
} | {
    "started_shared": partial(started, shared=True),
    "started_own": partial(started, shared=False),
    "deep": lambda: models.stacked(2, "tanh"),
    "amp1": lambda: models.amp(1),
    "amp2": lambda: models.amp(2),
}


# ---- numbers ------------------------------------------------------------------------------------------
VALUES = {
    "nu_W": 0.7, "nu_F": 0.5, "nu_C": 1.3, "nu_b": 0.05, "nu_V": 0.4, "nu_U": 0.6, "nu_0": 0.8, "nu_1": 0.3,
    "nu_c": 0.2, "nu_D": 0.9, "nu_A": 1.1, "nu_h": 0.9, "nu_w": 0.01, "alpha": 0.3, "a": 0.45, "mu": 0.2,
    "mu_c": 0.15, "q": 0.4, "q_g": 0.35, "q_h": 0.4, "c": 0.1, "X": 0.6, "eta": 0.05, "norm_j": 0.8, "residual": 1.7,
    "sigma": 1.9, "gamma": 0.7, "delta": 0.64, "epsilon": 0.16, "theta_0": 0.3, "theta_1": 0.25, "time": 1.5, "n": 7,
    "l": np.arange(5), "T": np.arange(6, 11), "j": np.arange(5), "k": np.arange(5), "t": np.arange(5),
    "s": np.array([0, 2, 1, 3, 4]),
}  # fmt: skip
OTHER = 0.37
"""For symbols without a value of their own, such as the letters of a map."""
SEQUENCES = np.random.default_rng(5).standard_normal((2, 3, 2)) * 0.8
OTHERS = np.concatenate([SEQUENCES[:1], np.random.default_rng(6).standard_normal((1, 3, 2))])


def values_of(names: Any) -> Numbers:
    return {name: VALUES.get(name, OTHER) for name in names}


def compiled(derivation: Any) -> Any:
    """The value of the compiled formula at fixed points."""
    formula = derivation.formula
    if formula.process is not None:
        return np.zeros(0)  # items of Kernel evaluate it
    function = formula.compile()
    values = values_of(formula.arguments)
    grams = [x @ y.swapaxes(-1, -2) for x, y in ((SEQUENCES, OTHERS), (SEQUENCES,) * 2, (OTHERS,) * 2)]
    if isinstance(function, OnSequences):
        return function(*grams, same=np.array([1.0, 0.0]), **{k: v for k, v in values.items() if k not in ("t", "s")})
    stated = formula.recurrence
    if stated is not None and any(e.right.has(Gram) for e in stated.equations):
        return function(X=grams[0], **{k: v for k, v in values.items() if k not in ("t", "s")})
    return function(**values)


def quantity(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """The compiled numbers of one derivation and of its parts."""
    made = make()
    parts = {**made.parts, "": made} if isinstance(made, derive.Memory) else {"": made}
    found = {str(name): compiled(x) for name, x in parts.items()}
    written = {f"{n} expr": at_numbers(x.formula, x.formula.expr) for n, x in parts.items() if _of_grams(x.formula)}
    return found | written, [x.proof for x in parts.values()]


def _of_grams(formula: Any) -> bool:
    return formula.expr is not None and formula.expr.has(Gram)


def matrix_of_moments(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """State evolution unrolled, or as a recurrence of several moments: every number of it."""
    made = make()
    if made.formula.expr is None:
        return {}, [made.proof]
    return {"": at_numbers(made.formula, made.formula.expr)}, [made.proof]


def at_numbers(formula: Any, expr: Any) -> Any:
    """An expression at fixed numbers: what a user reads in `formula.expr`."""
    at = {"t": 2, "s": 1}
    values = {x: at[n] if n in at else values_of([n])[n] for n, x in formula.symbols.items()}
    plain = expr.subs(values).doit()
    of = {FIRST: SEQUENCES[0], SECOND: OTHERS[1]}
    grams = {x: float(of[x.args[2]][int(x.args[0])] @ of[x.args[3]][int(x.args[1])]) for x in plain.atoms(Gram)}
    found = plain.subs(grams).doit()
    while means := {x: node_value(x) for x in found.atoms(GaussianMean) if len(x.atoms(GaussianMean)) == 1}:
        found = found.xreplace(means)  # those inside the laws of others come first
    return np.array(sp.Matrix([found.evalf()]).tolist(), dtype=float)


def node_value(node: GaussianMean) -> float:
    """An expectation that stays opaque, by the class that evaluates it for a user."""
    return _Mean(node, ())([])[0]


def kernel(make: Callable[[], Any], name: str, **options: Any) -> tuple[Numbers, Proofs]:
    """A kernel as the class Kernel gives it, and the proof of the quantity."""
    recursion = make()
    made = Kernel(recursion, **options, **values_of(recursion.program().symbols))
    inputs = (SEQUENCES, OTHERS) if "points" not in options else (SEQUENCES[:1, :2],)
    given = {"parameterization": options["parameterization"]} if "parameterization" in options else {}
    found = {"kernel": getattr(made, name)(*inputs)}
    if "points" not in options:
        found["kernel of lists"] = getattr(Kernel(recursion, readout="last", **values_of(made.parameters)), name)(
            [SEQUENCES[0], OTHERS[1][:2]]
        )
    return found, [getattr(derive, name)(recursion, **(given if name == "ntk" else {})).proof]


def backwards(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """Gradients of a finite network by the derived adjoint."""
    recursion, rng = make(), np.random.default_rng(1)
    program = recursion.program()
    nu = dict.fromkeys(program.symbols, 0.5)
    net = run_forward(program, SEQUENCES, 4, n_y=2, **nu)
    weights = {
        p.name: rng.standard_normal(shape_of(net.run, p) if p.tied else (3, *shape_of(net.run, p)))
        for p in trained(program)
    }
    found = gradients(recursion, SEQUENCES, rng.standard_normal((2, 3, 2)), 4, weights=weights, **nu)
    return dict(found), [derive.adjoint(recursion).proof]


def lines(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """The state evolution of an alternating program, line by line."""
    made = derive.line_evolution(make())
    found, _ = made.evaluate(**values_of(made.derivation.program.symbols))
    return {str(k): np.array(v) for k, v in found.items()}, [made.derivation.proof]


def stated(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """What the goal of a proof says, where it is no number: one for each of its sides."""
    made = make()
    goal = made.proof.goal
    sides = [(e.left, e.right) for e in getattr(goal, "equations", (goal,))]
    return {str(left): np.array(fingerprint(right)) for left, right in sides}, [made.proof]


def fingerprint(expr: sp.Expr) -> float:
    """A number for an expression: of what stays opaque one that its text determines."""
    if expr.is_number:
        return float(expr)
    if expr.is_Add or (expr.is_commutative and (expr.is_Mul or expr.is_Pow)):
        return float(expr.func(*map(fingerprint, expr.args)))
    if isinstance(expr, Words):
        return len(type(expr).__name__) + sum(i * fingerprint(x) for i, x in enumerate(expr.args, 1))
    return (1 + zlib.crc32(sp.srepr(expr).encode())) / 2**32


def realised() -> tuple[Numbers, Proofs]:
    made = realization(np.random.default_rng(0).standard_normal((4, 2, 1)))
    return {"": np.array(made.impulse(6), dtype=float)}, [made.proof]


def convolved() -> tuple[Numbers, Proofs]:
    """L_j of explicit matrices: no compiled function, so the expression at 1 x 1 matrices."""
    made = derive.convolution_of(models.linear_rnn())
    lag, width = (made.formula.symbols[x] for x in ("j", "n"))
    at = [made.formula.expr.subs({lag: i, width: 3}).doit() for i in range(4)]
    letters = {x: VALUES["nu_" + str(x)] for expr in at for x in expr.atoms(sp.Symbol)}
    return {"": np.array([float(x.xreplace(letters)) for x in at])}, [made.proof]


# ---- oracles ------------------------------------------------------------------------------------------
ORACLES = {
    "derive/expectation/test_dual_activations.py": (
        "test_a_row_is_its_definition", "test_price_certifies_a_row_by_the_row_of_its_derivative",
        "test_price_certifies_a_curved_row", "test_means_of_every_row_are_the_integral",
        "test_polynomials_come_from_isserlis", "test_numbers_agree_with_22_digits",
        "test_tanh_reaches_1e12_with_a_true_bound",
        "test_nearly_coincident_variables_lose_no_digits", "test_large_variances_do_not_overflow",
        "test_arrays_broadcast_and_nonsense_is_refused",
    ),
    "derive/expectation/test_piecewise_linear.py": (
        "test_moments_are_those_of_the_definition", "test_slopes_are_those_of_the_definition_and_a_wrong_kink_is_seen",
        "test_a_kinked_function_meets_a_smooth_one_within_the_stated_bound",
        "test_pairs_of_a_kinked_and_a_smooth_function_come_in_batches", "test_constants_are_finite_and_exact",
        "test_what_is_not_piecewise_linear_is_none", "test_centred_rows_of_the_table_are_the_same",
    ),
    "derive/expectation/test_nested_quadrature.py": (
        "test_closed_forms_lie_within_the_bound", "test_a_mean_moves_the_steep_place",
        "test_softplus_is_finite_far_out",
    ),
    "derive/expectation/wedges/test_wedge_quadrature.py": (
        "test_wedges_are_other_integrals", "test_wedges_of_an_exponential_end_where_it_does",
        "test_nodes_in_units_of_something_else_are_seen", "test_all_pairs_at_once_are_each_alone",
        "test_they_serve_where_functions_change_around_zero",
    ),
    "derive/expectation/wedges/test_wedge_tables.py": (
        "test_a_table_is_its_wedges_within_its_error", "test_a_table_of_other_numbers_is_refused",
        "test_ranges_are_few",
    ),
    "derive/expectation/tables/test_coefficient_tables.py": (
        "test_interpolated_coefficients_are_those_of_the_series", "test_a_table_that_is_off_is_not_used",
        "test_a_series_that_is_long_has_neither_table_nor_coefficients",
    ),
    "derive/expectation/tables/test_flat_cores.py": (
        "test_every_order_is_where_the_shape_says", "test_tables_of_several_expectations_are_filled_up",
    ),
    "derive/expectation/tables/test_lane_vectors.py": ("test_a_text_names_the_lanes_of_its_vectors",),
    "derive/emit/sweeps/test_contributions.py": (
        "test_they_are_the_expressions_of_rows_and_columns",
        "test_a_row_and_a_column_that_read_the_same_read_one_number",
    ),
    "derive/emit/sweeps/test_moment_programs.py": (
        "test_programs_give_what_is_written_out", "test_registers_that_are_read_no_more_are_used_again",
        "test_programs_joined_give_what_each_gives",
    ),
    "derive/emit/test_formula.py": (
        "test_edges_in_numbers", "test_edges_in_symbols", "test_arguments_broadcast", "test_wrong_arguments_are_named",
    ),
    "derive/algebra/test_array_code.py": (
        "test_maxima_and_minima_are_those_of_all_arguments", "test_powers_at_a_pair_are_divided_differences",
        "test_exponentials_at_a_pair_are_divided_differences",
        "test_exponentials_of_arrays_are_those_of_their_entries",
        "test_functions_of_a_pair_are_printed_with_their_arguments_in_order",
        "test_perron_roots_slopes_and_gaps_are_those_of_the_matrix",
        "test_damped_functions_are_printed_as_they_are_defined",
        "test_powers_steps_and_deltas_are_printed_as_they_are_defined",
    ),
    "derive/linear/test_realization.py": (
        "test_nodes_are_the_rationals_next_to_those_of_chebyshev",
        "test_numbers_are_taken_as_the_rationals_they_are", "test_a_realisation_is_exact_in_rationals",
        "test_given_nodes_are_used_and_must_differ",
    ),
    "derive/algebra/test_linear_recurrences.py": ("test_special_nodes", "test_no_cancellation_at_close_nodes"),
    "derive/alternating/test_corrections.py": (
        "test_the_onsager_terms_of_amp_cancel_and_its_state_evolution_is_the_known_one",
    ),
    "derive/calculus/test_starts.py": (
        "test_a_linear_recursion_from_a_random_start", "test_a_shared_start_needs_no_word_on_which_sequences_are_one",
    ),
    "derive/memory_horizon/test_memory.py": ("test_linear_horizon_is_the_decay_of_the_impulse_response",),
    "derive/linear/test_scale_factor_bounds.py": (
        "test_the_papers_bound_is_its_power_times_its_largest_factor",
    ),
    "derive/linear/test_convolution.py": ("test_unshared_random_starts_ask_which_sequences_are_one",),
    "cross_checks/test_kernels_by_definition.py": (
        "test_one_to_six_steps", "test_three_layers_of_states",
    ),
    "cross_checks/test_kernels_of_other_programs.py": (
        "test_deep_relu_agrees_with_rntk", "test_blocks_and_lengths_do_not_change_the_numbers",
    ),
    "cross_checks/test_bidirectional.py": (
        "test_the_kernel_is_that_of_both_directions", "test_different_lengths_end_at_their_own_end",
        "test_gates_may_read_backwards",
    ),
    "numeric/process/test_integration.py": (
        "test_moments_of_a_gru_given_its_gate_are_those_of_the_recursion_written_out",
        "test_groups_that_states_are_linear_in_are_integrated",
    ),
    "numeric/process/test_evaluation.py": (
        "test_the_rule_of_perturbations_is_exact_to_the_third_degree", "test_the_gru_agrees_with_gp4a",
        "test_the_lstm_of_one_step_by_both_methods",
        "test_random_starts_shared_or_not", "test_revealed_blocks_have_the_covariance_they_were_given",
    ),
}  # fmt: skip
"""Tests of the tables and evaluators by definition: quadratures, exact sums, other programs."""


@cache
def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("oracle_" + Path(path).stem, TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def oracle(path: str, test: str) -> tuple[Numbers, Proofs]:
    """Call a test with all of its parameters."""
    function = getattr(loaded(path), test)
    for given in cases_of(function):
        with pytest.MonkeyPatch.context() as patch:
            function(**given, **({"monkeypatch": patch} if "monkeypatch" in _names(function) else {}))
    return {}, []


def cases_of(function: Any) -> Iterator[Numbers]:
    """The keyword arguments of a test that pytest would give it; `rho` is the fixture of the emitted formulas."""
    sets = []
    for mark in (m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"):
        names, rows = mark.args[:2]
        names = [x.strip() for x in names.split(",")] if isinstance(names, str) else names
        rows = [
            row.values if type(row).__name__ == "ParameterSet" else (row,) if len(names) == 1 else row for row in rows
        ]
        sets.append([dict(zip(names, row, strict=True)) for row in rows])
    fixed = {"rho": derive.scale_factors(models.linear_rnn()).formula} if "rho" in _names(function) else {}
    for chosen in itertools.product(*sets):
        yield fixed | {k: v for part in chosen for k, v in part.items()}


def _names(function: Any) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


# ---- all of them --------------------------------------------------------------------------------------
def items() -> list[Item]:
    """Every quantity and every oracle by a name that does not change."""
    given = {f"{name} of {label}": partial(run, *args) for name, label, run, *args in _table()}
    found = [Item(name, run) for name, run in given.items()]
    return found + [
        Item(f"{test} in {path}", partial(oracle, path, test), True)
        for path, tests in ORACLES.items()
        for test in tests
    ]


@cache
def written() -> ModuleType:
    """The recursions that the tests of derive/ are written for."""
    return loaded("derive/conftest.py")


def _made(label: str) -> Callable[[], Any]:
    name, _, activation = label.partition(" ")
    own = OWN.get(name) or getattr(written(), name, None)
    return (lambda: getattr(models, name)(activation)) if activation else own or getattr(models, name)


LINEAR = ("linear_rnn", "two_tied", "redrawn", "stacked", "frozen", "skip", "coupled", "untied", "own_start", "delay")
CURVED = (
    "elman", "random_start", "quadratic", "redrawn_erf", "frozen_relu", "powers", "smooth_and_kinked", "elman relu",
    "leaky tanh", "bidirectional erf", "residual sin", "feed_forward",
)  # fmt: skip


def _of(name: str, label: str, **options: Any) -> Any:
    return getattr(derive, name)(_made(label)(), **options)


def _table() -> Iterator[tuple[Any, ...]]:
    """Name, model, and how its numbers are found."""
    yield from _kernels()
    yield from _linear()
    yield from _evolutions()
    for label in ("linear_rnn", "elman erf", "deep"):
        yield "memory", label, quantity, partial(_of, "memory", label)
    for label in ("stacked", "elman", "redrawn_erf", "bidirectional erf", "frozen_relu"):
        yield "adjoint", label, backwards, _made(label)
    for label in ("amp1", "amp2", "corrected"):
        yield "line_evolution", label, lines, _made(label)
    for label in ("amp2", "there_and_back", "corrected"):
        yield "corrections", label, stated, partial(_of, "corrections", label)
    for law in (product_law, fresh_law):
        yield law.__name__, "linear_rnn", stated, lambda law=law: law(models.linear_rnn())


def _kernels() -> Iterator[tuple[Any, ...]]:
    for label in (*LINEAR, *CURVED, "started_shared", "started_own"):
        for name in ("nngp", "ntk"):
            yield name, label, quantity, partial(_of, name, label)
            if label in ("linear_rnn", "redrawn", "elman relu", "bidirectional erf", "started_own", "frozen_relu"):
                yield f"Kernel {name}", label, kernel, _made(label), name
    for label in ("linear_rnn", "elman", "random_start", "redrawn_erf"):
        yield "ntk, unit variances", label, partial(kernel, parameterization="ntk"), _made(label), "ntk"
    for label in ("gru", "mgu"):
        for name in ("nngp", "ntk"):
            yield f"Kernel {name}", label, partial(kernel, points=64), _made(label), name


def _linear() -> Iterator[tuple[Any, ...]]:
    for label in LINEAR[:8]:
        yield "impulse_response", label, quantity, partial(_of, "impulse_response", label)
        read = scaled_or_refused if label in LAGS_COUPLE else quantity
        yield "scale_factors", label, read, partial(_of, "scale_factors", label)
    for label in ("linear_rnn", "two_tied", "frozen", "stacked"):
        yield "equivalent_convolution", label, quantity, partial(_of, "equivalent_convolution", label)
    for name in ("stability", "scale_factor_peak", "training_bound", "trajectory_gain", "flow_gain", "momentum_gain",
                 "momentum_flow_gain"):  # fmt: skip
        yield name, "linear_rnn", quantity, partial(_of, name, "linear_rnn")
    yield "refuted_bounds", "linear_rnn", proof_alone, partial(_of, "refuted_bounds", "linear_rnn")
    for form in ("sharp", "T-free", "paper", "uniform"):
        yield f"bound {form}", "linear_rnn", quantity, partial(_of, "scale_factor_bound", "linear_rnn", form=form)
    for lags in ((1, 1), (2, 2, 2, 2), (0, 2), (3, 3)):
        yield f"moments {lags}", "linear_rnn", quantity, partial(_of, "moments", "linear_rnn", lags=lags)
    yield "moments (0, 0)", "multiplied", quantity, partial(_of, "moments", "multiplied", lags=(0, 0))
    yield "realization", "an impulse", realised
    yield "convolution_of", "linear_rnn", convolved


def _evolutions() -> Iterator[tuple[Any, ...]]:
    for label in ("linear_rnn", "random_start", "elman", "redrawn"):
        for horizon in (None, 3):
            made = partial(_of, "state_evolution", label, horizon=horizon)
            yield f"state_evolution to {horizon}", label, matrix_of_moments, made
    for label in ("linear_rnn", "two_tied", "redrawn"):
        for horizon in (None, 2):
            made = partial(_of, "state_evolution", label, form="innovations", horizon=horizon)
            yield f"innovations to {horizon}", label, matrix_of_moments, made


LAGS_COUPLE = ("redrawn", "skip", "untied")
"""Linear recursions whose kernel is no sum over lags: their scale factors are refused."""


def scaled_or_refused(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    """Scale factors; where lags couple, the refusal is what must not change."""
    try:
        return quantity(make)
    except derive.NotDiagonal:
        return {"refused": np.zeros(1)}, []


def proof_alone(make: Callable[[], Any]) -> tuple[Numbers, Proofs]:
    made = make()
    return {}, [x.proof for x in (made if isinstance(made, tuple) else (made,))]
