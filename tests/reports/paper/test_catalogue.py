"""Figures, table and lemmas of the paper: each verdict turns to refuted for a mutant, and all choices can be set."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tests.command_line import CliRunner
from wideproof.derive import Recursion, models, state_evolution
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.latex.text import Math
from wideproof.numeric.paper.experiments import GapLadder, Protocol, Setting
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import teacher_data
from wideproof.reports.cli.app import app
from wideproof.reports.document.blocks import Document, Paragraph, Table
from wideproof.reports.paper import ITEMS, figures, kernel_regime, lemmas, training_bound
from wideproof.reports.paper.item import Context, section
from wideproof.reports.paper.settings import USED, choices_of, parse_changes, setting_of
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.typeset import typeset
from wideproof.reports.write.inline_math import formula, mathematical

SMALL = {
    "widths": "100,1e4,1e6,1e8,1e10", "networks": "20", "gap_steps": "10", "steps": "20", "sequences": "20",
    "horizon": "5", "curve_width": "200", "delays": "0,9", "seeds": "1,2,3", "width": "60", "linearised_networks": "6",
    "linearised_steps": "10", "linearised_widths": "100,1000,1e4,1e5,1e6",
}  # fmt: skip


@contextmanager
def silent(name):
    yield lambda done, total: None


@pytest.fixture
def context(tmp_path, undrawn):
    return Context(silent, tmp_path / "figures", quick=True, changes=SMALL)


def verdicts(result):
    return [claim.verdict for claim in result.claims]


def test_figures_1_and_2_hold_and_a_convolution_of_other_weights_is_refuted(context, monkeypatch):
    for make in (figures.training_figure, figures.test_figure):
        assert set(verdicts(make(context))) == {"holds"}
    original = figures.dynamics
    half = lambda j, **nu: 0.5 ** np.asarray(j, dtype=float)  # noqa: E731
    monkeypatch.setattr(figures, "dynamics", lambda *a, **k: original(*a, scale=half, **k))
    wrong = replace(context, runs={"gaps": context.runs["gaps"]}, shown={})
    wrong.changes = SMALL | {"curve_width": "1e8"}
    assert "refuted" in verdicts(figures.training_figure(wrong))
    assert "refuted" in verdicts(figures.test_figure(wrong))


def test_a_gap_that_does_not_fall_is_refuted(context):
    widths = (10**2, 10**4, 10**6, 10**8)
    rng = np.random.default_rng(0)
    flat = np.exp(0.3 * rng.standard_normal((4, 20)) - 3)
    still = GapLadder(Setting(), widths, tuple(map(tuple, flat)), tuple(flat.mean(axis=1)), tuple(flat.std(axis=1)),
                      -0.02, 0.01, -3.0, "sampled")  # fmt: skip
    context.runs["gaps"] = replace(still, test=still)
    assert verdicts(figures.training_figure(context))[0] == "refuted"


def test_figure_3_holds_and_is_refuted_where_the_scale_factors_are_flat(context, monkeypatch):
    context.changes = SMALL | {"horizon": "10", "steps": "80", "sequences": "20"}
    assert set(verdicts(figures.delay_figure(context))) == {"holds"}
    original = figures.delay_experiment
    monkeypatch.setattr(
        figures, "delay_experiment", lambda *a, **k: original(*a, scale=lambda j, **nu: np.ones(len(j)), **k)
    )
    assert verdicts(figures.delay_figure(replace(context, shown={}))) == ["holds", "refuted", "holds"]


def test_table_1_is_told_on_the_users_file_and_refuted_by_weights_turned_round(context, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((3000, 2)), np.zeros(3000)
    for lag in range(4):
        y[lag:] += 0.5**lag * (x[: 3000 - lag] @ [1.0, 0.5])
    path = tmp_path / "filtered.npz"
    np.savez(path, u=x, v=(y + rng.standard_normal(3000))[:, None])
    context.data, context.columns = (str(path),), {"inputs": ("u",), "outputs": ("v",), "rate": 50.0}
    context.changes = {"lags": "12", "steps": "60", "width": "40", "segments": "8", "limited": "0.02", "nu_W": "0.3",
                       "step_fractions": "1"}  # fmt: skip
    made = figures.score_table(context)
    assert made.listed
    assert {c.verdict for c in made.claims} <= {"holds", "undecided"}
    assert any(c.verdict == "holds" and "limited" in c.text for c in made.claims)
    assert "50 Hz" in str(made.blocks)
    original = figures.compare

    def turned(recording, protocol, **more):
        return original(recording, protocol, scale=lambda j, **nu: 0.3 ** (11.0 - j), **more)

    monkeypatch.setattr(figures, "compare", turned)
    wrong = figures.score_table(replace(context, runs={}, shown={}))
    assert any(c.verdict == "refuted" for c in wrong.claims)
    assert verdicts(figures.recording_figure(replace(context, runs={}, shown={}))) != []


def test_proposition_31_holds_and_a_linearisation_of_another_network_is_refuted(context, monkeypatch):
    context.data, context.changes = (), SMALL | {"horizon": "3"}
    made = kernel_regime.proposition_31(context)
    lint_tex(typeset(Document("", "", (section(ITEMS["prop-3.1"], made),), "")))
    assert made.claims[0].verdict == "holds"
    assert {c.verdict for c in made.claims} <= {"holds", "undecided"}
    original, first = kernel_regime.linearised_gaps, []

    def frozen(descent_of, data):
        from wideproof.numeric.paper.experiments.linearisation import tangent_gram

        first.append(0.5 * tangent_gram(descent_of, data))
        return first[0]

    monkeypatch.setattr(kernel_regime, "linearised_gaps", lambda *a, **k: original(*a, tangent=frozen, **k))
    assert verdicts(kernel_regime.proposition_31(replace(context, shown={})))[0] == "refuted"


def test_the_rank_of_the_kernel_is_that_of_the_kernel_matrix():
    from wideproof.numeric.kernels.kernel import Kernel

    setting = Setting(horizon=4, n_x=2, sequences=3)
    nu = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
    data, _, _ = teacher_data(setting)
    X = np.random.default_rng(0).standard_normal((3, 4, 2))
    whole = Kernel(Context(silent, None).rnn, "entries", "numpy", **nu).ntk(X, X).reshape(12, 12)
    assert kernel_regime.kernel_rank(data, scale_of_lags(4, **nu)) == np.linalg.matrix_rank(whole) == 8
    assert kernel_regime.matrix_rank(Context(silent, None).rnn, setting, nu).verdict == "holds"
    assert kernel_regime.matrix_rank(models.elman("erf", bias=False), setting, nu).verdict == "refuted"


def test_theorem_41_is_told_and_networks_past_the_bound_are_refuted(context, monkeypatch):
    run = training_bound.measure_bound(Setting(steps=12, horizon=4), widths=(100, 10**6), seeds=4, records=4)
    monkeypatch.setattr(training_bound, "measure_bound", lambda *a, **k: run)
    assert "refuted" not in verdicts(training_bound.theorem_41(context))
    below = np.linspace(0.8, 0.95, 12)
    for ratios, verdict in ((below, "holds"), (below + 0.4, "refuted"), (below + 0.12, "undecided")):
        assert training_bound._in_the_limit(replace(run, ratios=(tuple(ratios),))).verdict == verdict
    steps = context.runs["learning steps"]
    mutants = (
        (replace(run, convolution_ratio=1.001), steps),
        (replace(run, exactness=1e-3), steps),
        (run, replace(steps, least=tuple(1.001 * n for n in steps.steps))),
        (run, replace(steps, slope=steps.slope + 6 * steps.slope_stderr)),
    )
    for place, mutant in zip((0, 2, 3, 4), mutants, strict=True):
        said = [claim.verdict for claim in training_bound.measured(*mutant)]
        assert [i for i, verdict in enumerate(said) if verdict == "refuted"] == [place]


def test_lemma_c1_rebuilds_the_covariance_form_of_every_kind(context):
    blocks, claims = lemmas._general(context)
    assert len(claims) == len(lemmas._cases(True)) == 5
    assert {c.verdict for c in claims} == {"holds"}
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert [row[2:] for row in table.rows] == [
        ("1", "1", "3"), ("1", "1", "3"), ("1", "2", "3"), ("3", "3", "2"), ("1", "1", "3")
    ]  # fmt: skip


def test_the_singular_case_leaves_nothing_random_after_the_first_step():
    found = str(state_evolution(lemmas.unchanging(), form="innovations", horizon=3).formula.latex())
    assert "P^{W}_{1} &= 0" in found
    assert "P^{W}_{2} &= 0" in found
    changing = Recursion("changing")
    W, F = changing.matrix("W", variance="nu_W"), changing.input_map("F", variance="nu_F")
    h = changing.state("h")
    changing.update(h, W @ h + F @ changing.x)
    changing.output(changing.readout("C", variance="nu_C") @ h)
    other = str(state_evolution(changing, form="innovations", horizon=3).formula.latex())
    assert "P^{W}_{2} &= 0" not in other


@pytest.mark.parametrize("item", [name for name, kinds in USED.items() if kinds])
def test_every_choice_of_an_item_can_be_set_and_is_shown(item, context):
    for choice in choices_of(item, True, {}):
        assert parse_changes([f"{choice.name}={choice.text}"], [item]) == {choice.name: choice.text}
    context.changes = {}
    first = context.assumptions(item)
    shown = str(first)
    assert all(f"text='{choice.name}'" in shown for choice in choices_of(item, True, {}))
    assert isinstance(context.assumptions(item)[0], Paragraph)  # the second time it refers to the table


def test_quick_is_smaller_in_every_way():
    quick, full = (setting_of(Protocol, size, {}) for size in (True, False))
    assert quick.steps < full.steps
    assert len({kind for kinds in USED.values() for kind in kinds}) == 16


def test_settings_are_listed_and_unknown_ones_refused():
    runner = CliRunner()
    listed = runner.invoke(app, ["reproduce", "fig3", "--list-settings", "--json", "--set", "nu_W=0.6"])
    rows = {row["name"]: row for row in json.loads(listed.stdout)["settings"]}
    assert rows["nu_W"]["value"] == "0.6"
    assert rows["delays"]["source"] == "assumed"
    refused = runner.invoke(app, ["reproduce", "fig3", "--set", "curve_width=5"])
    assert refused.exit_code == 2
    assert "delays" in refused.stderr
    assert runner.invoke(app, ["reproduce", "fig3", "--set", "nu_W"]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "no-such.csv"], "a file"),
        (["--inputs", "a"], "--data"),
        (["--data", "er-fmri", "--data", "daphnet", "--outputs", "c"], "2 recordings"),
        (["--data", "er-fmri", "--set", "limited=0.9"], "limited"),
    ],
)
def test_a_users_file_that_cannot_be_used_is_told_before_the_work(arguments, said, tmp_path):
    done = CliRunner().invoke(app, ["reproduce", "table1", "--quick", "-o", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nan_constant_and_short_columns_are_told(tmp_path):
    rows = [f"{np.sin(0.3 * k)},1,{np.cos(k)}" for k in range(400)]
    cases = {
        "nan": (["a,b,c", *rows[:9], "nan,1,2", *rows], "finite"),
        "constant": (["a,b,c", *rows], "'b' to vary"),
        "short": (["a,b,c", *rows[:20]], "at least 100"),
    }
    for name, (lines, said) in cases.items():
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(lines))
        more = ["--data", str(path), "--inputs", "a,b", "--outputs", "c", "-o", str(tmp_path / "out")]
        done = CliRunner().invoke(app, ["reproduce", "fig4", "--quick", *more])
        assert done.exit_code == 2
        assert said in done.stderr


def test_formulas_in_sentences():
    found = mathematical("a power of nu_W, and T n_x n_y outputs with 1 + 2/n^2 at t = 2.")
    bodies = [part.body for part in found if isinstance(part, Math)]
    assert bodies == [r"\nu_W", r"T\,n_x\,n_y", "1 + 2/n^2", "t = 2"]
    assert mathematical("the powers 1/2 and 3 of 8 sequences") == ("the powers 1/2 and 3 of 8 sequences",)
    bodies = [part.body for part in mathematical("power -1/2 at width 1e6") if isinstance(part, Math)]
    assert bodies == ["-1/2", "10^{6}"]
    assert formula("sqrt(rho_t rho_j / n)") == r"\sqrt{\rho_t\,\rho_j / n}"


@pytest.mark.parametrize(
    ("item", "change", "said"),
    [
        ("thm-4.1", "bound_networks=1", "two networks"),
        ("lemma-c.1", "state_widths=10,100", "four widths"),
        ("lemma-c.1", "bound_networks=3", "state_horizon"),
        ("lemma-c.1", "nu_F=0", "variances > 0"),
        ("thm-3.3b", "kernel_widths=1,2,3", "four widths"),
        ("lemma-b.1", "trials=10", "trials >= 1000"),
        ("prop-2.1b", "realized_horizon=99", "1 to 12 lags"),
        ("E1", "radius_draws=1", "ten draws"),
        ("E2", "moment_trials=1e3", "50000"),
        ("E4", "starts=3", "500"),
    ],
)
def test_sizes_of_a_theorem_that_give_no_error_are_refused(item, change, said, tmp_path):
    done = CliRunner().invoke(app, ["reproduce", item, "--set", change, "--list-settings"])
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("item", "changes", "said"),
    [
        ("prop-2.1b", {"realized_horizon": "3", "realized_inputs": "1"}, "horizon 3, 1 inputs, 2 outputs"),
        ("E1", {"radius_width": "110", "radius_draws": "10"}, "110"),
        ("E2", {"moment_trials": "60000"}, r"6 \\times 10^{4}"),
        ("E4", {"starts": "700"}, "700"),
    ],
)
def test_a_size_that_is_set_is_the_size_that_is_used(item, changes, said, context):
    context.changes = changes
    made = ITEMS[item].make(context)
    assert set(verdicts(made)) == {"holds"}
    assert said in str(made.blocks)


def test_the_variances_that_are_set_are_those_drawn(context, monkeypatch):
    seen = []
    monkeypatch.setattr("wideproof.reports.paper.item.validated", lambda *a: seen.append((a[1:3], a[6]["nu_W"])))
    context.changes = {"nu_W": "0.6", "trials": "1500", "widest": "256"}
    context.validation  # noqa: B018
    assert seen == [((256, 1500), 0.6)]


def test_parse_changes_names_the_form():
    with pytest.raises(ParameterError):
        parse_changes(["nu_W="], ["fig1"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fig1 --method subspace", "auto or krylov or sampled"),
        ("fig3 --method sampled", "auto or krylov"),
        ("all --method sampled", "auto or krylov"),
        ("thm-3.2 --method krylov", "fig1, fig2, fig3, fig4, table1"),
        ("fig1 --quick --width 1e9 --method krylov", "sampled at n = 1000000000"),
    ],
)
def test_a_training_method_that_does_not_apply_names_the_one_that_does(words, said, tmp_path):
    done = CliRunner().invoke(app, ["reproduce", *words.split(), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_training_method_is_said_before_the_start_and_kept_in_text_and_record(tmp_path, monkeypatch):
    for engine in ("_pdf", "_html"):
        monkeypatch.setattr(f"wideproof.reports.render.render.{engine}", lambda *_: None)
    small = [x for name in ("steps", "gap_steps", "sequences", "horizon", "networks") for x in ("--set", f"{name}=4")]
    words = ["reproduce", "fig2", "--width", "1e12", "--set", "widths=1e3,1e4,1e5,1e6", *small, "-o", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1, 3), done.stderr
    assert done.stderr.index("training method: sampled (") < done.stderr.index("typesetting")
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["inputs"]["method"], record["results"]["dynamics"]["method"]) == ("auto", "sampled")
    assert "trained by the method sampled" in (tmp_path / "report.tex").read_text()
