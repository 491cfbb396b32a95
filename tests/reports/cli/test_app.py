"""The command line as a user and a program meet it: answers, JSON, exit codes, errors in two lines."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import CliRunner
from wideproof.derive import Proof, ProofError, Recursion, models, scale_factors
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import Program
from wideproof.derive.referee.quantities import QUANTITIES as EVERY, named
from wideproof.numeric.memory_horizon.fixed_points import analyse
from wideproof.numeric.recordings import RECORDINGS
from wideproof.numeric.validation.linear_rnn import experiment
from wideproof.reports.cli import models as cli_models
from wideproof.reports.cli.app import app
from wideproof.reports.cli.console import EXIT
from wideproof.reports.cli.symbols import unwrapped
from wideproof.reports.render import pandoc, pdftex
from wideproof.reports.sections import report as report_module
from wideproof.reports.sections.report import Report

NU = ("--nu-W", "0.3", "--nu-F", "1", "--nu-C", "1")
QUANTITIES = {name: EVERY[Program][name] for name in named()}
HOLDS = ("validate", "linear-rnn", "--width", "200", "--trials", "4000", "--seed", "7")
COMMANDS = ("models", "derive", "certify", "eval", "validate", "report", "reproduce")


def run(*words, code=0, env=None):
    result = CliRunner().invoke(app, list(words), prog_name="wideproof", env=env)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    return result


def json_of(*words, code=0):
    result = run(*words, "--json", code=code)
    assert result.stderr == ""
    return json.loads(result.stdout)


def fields(*words):
    """The four fields of the two lines that a command line ends with."""
    result = run(*words, code=2)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("error in "))
    told, hint = lines[start:]
    match = re.fullmatch(r"error in (?P<where>.+): expected (?P<expected>.+), got (?P<got>.+)", told)
    assert match is not None, told
    found = {**match.groupdict(), "hint": hint.strip()}
    assert set(found) == {"where", "expected", "got", "hint"}
    assert all(found.values())
    return found


@pytest.fixture
def unverified(monkeypatch):
    """Proofs are believed: each of their steps is tested in tests/derive."""
    monkeypatch.setattr(Proof, "verify", lambda self: None)


# ---- answers ------------------------------------------------------------------------------------
def test_models_names_the_gallery():
    assert "linear-rnn" in run("models").stdout
    rows = json_of("models")["models"]
    assert {"name", "summary"} == set(rows[0])
    assert "linear-rnn" in [row["name"] for row in rows]
    assert "Source" not in rows[0]["summary"]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_derive_prints_the_formula_and_its_proof(quantity, unverified):
    derivation = QUANTITIES[quantity](models.linear_rnn())
    short = run("derive", "linear-rnn", quantity).stdout
    assert short.startswith(f"{quantity} of linear-rnn")
    assert f"{len(derivation.proof.steps)} steps" in short
    long = run("derive", "linear-rnn", quantity, "--proof").stdout
    for index, step in enumerate(derivation.proof.steps):
        assert f"{index:>5} {step.rule}" in long
    assert "Equation(" not in long
    made = json_of("derive", "linear-rnn", quantity)
    assert made["model"] == "linear-rnn"
    found, *parts = made["derivations"]
    assert [part["quantity"] for part in parts] == [part.quantity for part in getattr(derivation, "parts", {}).values()]
    assert found["latex"] == derivation.formula.latex()
    assert found["verified"] is True
    assert [step["rule"] for step in found["steps"]] == [step.rule for step in derivation.proof.steps]
    assert all(p < i for i, step in enumerate(found["steps"]) for p in step["premises"])


def test_derive_verifies_what_it_prints(monkeypatch):
    seen = []
    monkeypatch.setattr(Proof, "verify", lambda self: seen.append(self.goal))
    run("derive", "linear-rnn", "scale-factors")
    assert seen == [scale_factors(models.linear_rnn()).proof.goal]

    def broken(self):
        raise ProofError("step 3 (tangent)", "a = b", "a = c", "The rule gives another conclusion.")

    monkeypatch.setattr(Proof, "verify", broken)
    assert fields("derive", "linear-rnn", "scale-factors", "--json")["where"] == "step 3 (tangent)"


def test_derive_without_a_quantity_derives_them_all(unverified):
    made = json_of("derive", "linear-rnn")
    assert [found["quantity"] for found in made["derivations"]] == list(QUANTITIES)
    assert made["underivable"] == []


def test_a_quantity_that_a_model_lacks_is_a_reason_among_all_and_an_error_by_name(monkeypatch, unverified):
    def skip():
        """A linear RNN with an identity skip."""
        rnn = Recursion("skip")
        W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
        h = rnn.state("h")
        rnn.update(h, h / 2 + W @ h + F @ rnn.x)
        rnn.output(C @ h)
        return rnn

    monkeypatch.setattr(cli_models, "gallery", lambda: {"skip": skip})
    made = json_of("derive", "skip")
    lacking = {"scale-factors", "equivalent-convolution", "scale-factor-bound", "scale-factor-peak", "training-bound"}
    assert {lack["quantity"] for lack in made["underivable"]} == lacking
    assert set(made["underivable"][0]["error"]) == {"where", "expected", "got", "hint"}
    assert "scale-factors of skip does not exist" in run("derive", "skip").stdout
    fields("derive", "skip", "scale-factors")


def test_eval_prints_values_in_lag_order_wherever_the_symbols_stand():
    rho = scale_factors(models.linear_rnn()).formula.compile("numpy")
    want = rho(j=np.arange(5), nu_W=0.3, nu_F=2.0, nu_C=1.0)
    for words in (
        ("linear-rnn", "scale-factors", "--nu-W", "0.3", "--nu-F", "2", "--nu-C", "1", "--lags", "5"),
        ("--nu-W=0.3", "--nu-F=2", "linear-rnn", "--lags", "5", "--nu-C", "1", "scale-factors"),
        ("--lags=5", "linear-rnn", "--nu-F", "2", "scale-factors", "--nu-W", "0.3", "--nu-C=1"),
    ):
        made = json_of("eval", *words)
        assert list(made) == ["values"]
        np.testing.assert_allclose(made["values"], want, rtol=1e-15)
    text = run("eval", "linear-rnn", "scale-factors", *NU, "--lags", "3").stdout
    assert [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()] == [
        ["0", "2"], ["1", "1.6"], ["2", "0.78"],
    ]  # fmt: skip


def test_eval_of_lags_beyond_the_doubles_names_the_first():
    """They were printed as inf, which is no number of JSON either."""
    words = ("eval", "linear-rnn", "impulse-response", "--nu-W", "1e10", "--nu-F", "1", "--nu-C", "1", "--lags", "40")
    assert "an overflow from lag 31 on" in run(*words, code=2).stderr


def test_eval_of_a_quantity_without_a_lag_is_one_number():
    assert json_of("eval", "linear-rnn", "stability", "--nu-W", "0.81", *NU[2:]) == {"values": [0.9]}
    made = json_of("eval", "linear-rnn", "memory", "--nu-W", "0.81", "--q", "1")
    assert made["values"] == pytest.approx([-1 / np.log(0.81)], rel=1e-14)
    assert run("eval", "linear-rnn", "memory", "--nu-W", "0.25", "--q", "1").stdout.startswith("0.7213475204")
    assert "leave --lags out" in fields("eval", "linear-rnn", "stability", *NU, "--lags", "3")["hint"]
    assert "wideproof.Kernel" in fields("eval", "linear-rnn", "ntk", *NU)["hint"]


def test_eval_of_memory_is_where_the_recursion_settles_unless_the_moments_are_given():
    nu = ("elman", "memory", "--activation", "relu", "--nu-W", "1.2", "--nu-b", "0.1")
    assert json_of("eval", *nu)["values"] == pytest.approx([-1 / np.log(0.6)])
    tanh = ("stacked", "memory", "--activation", "tanh", "--nu-W", "0.9", "--nu-U", "0.8", "--nu-b", "0.1")
    settled = analyse(models.stacked(activation="tanh"), nu_W=0.9, nu_U=0.8, nu_b=0.1).settled
    assert json_of("eval", *tanh)["values"] == pytest.approx([settled.horizon])
    moments = [word for name, q in settled.q.items() for word in (f"--q-{name.replace('_', '-')}", str(q))]
    assert json_of("eval", *tanh, *moments, "--nu-F", "0", "--X", "0")["values"] == pytest.approx([settled.horizon])
    assert "--nu-W" in run("eval", "elman", "memory", "--activation", "tanh", code=2).stderr


def test_validate_holds_and_says_everything_a_program_needs():
    found = json_of(*HOLDS)
    assert found["verdict"] == "holds"
    assert found["seed"] == 7
    assert isinstance(found["method"], str)
    wanted = {"quantity", "lag", "width", "trials", "prediction", "estimate", "stderr", "verdict"}
    assert all(wanted <= set(check) for check in found["checks"])
    moments = [check for check in found["checks"] if check["quantity"] == "second-moment"]
    assert [check["lag"] for check in moments] == list(range(len(moments)))
    assert len(moments) > 1
    assert {(check["width"], check["trials"]) for check in moments} == {(200, 4000)}
    assert [check["limit"] for check in moments] == pytest.approx([0.3**j for j in range(len(moments))])
    assert {check["prediction_at"] for check in moments} == {"n = 200"}
    assert moments[2]["prediction"] == pytest.approx(0.09 * (1 + 2 / 200**2))
    assert found["not_judged"] == found["warnings"] == []
    assert json_of(*HOLDS) == found


def test_validate_prints_lags_in_full_and_the_rest_by_kind():
    brief = run(*HOLDS).stdout
    first = [line.split()[0] for line in brief.splitlines() if line.split()]
    assert first.count("second-moment") == 5
    assert first.count("kernel-coupling") == 1
    assert first.count("scale-factor") == 2 * 5  # beside its coefficient of 1/n
    assert (
        "the exact mean at n = 200 (second-moment, excess-kurtosis, correlation, square-correlation, kernel-coupling)"
        in brief
    )
    assert "probability at most 0.01" in brief
    assert run(*HOLDS, "--all").stdout.count("kernel-coupling") > 5


def test_a_width_of_five_says_what_it_judges_and_what_not():
    told = run("validate", "linear-rnn", "--width", "5")
    assert "prediction: the exact mean at n = 5" in told.stdout
    assert "the limit, as the mean at n = 5, is refuted: second-moment at lag 2 (0.09), 3 (0.027)" in told.stdout
    assert "not judged: kernel-coupling from lag 0 on: a fourth moment has a long tail at these widths" in told.stderr
    assert "warning: T² = 16 is not small against n = 5" in told.stderr


def test_a_limit_wrong_by_two_percent_is_refuted(monkeypatch):
    truth = experiment.predictions
    monkeypatch.setattr(experiment, "predictions", lambda *args: (truth(*args)[0], truth(*args)[1] * 1.02))
    found = json_of(*HOLDS, code=1)
    assert found["verdict"] == "refuted"
    assert {c["quantity"] for c in found["checks"] if c["verdict"] == "refuted"} == {"scale-factor"}
    result = run(*HOLDS, code=1)
    assert "refuted: scale-factor at lag" in result.stderr


def test_too_few_trials_are_undecided_and_say_what_would_decide():
    words = ("validate", "linear-rnn", "--width", "64", "--trials", "40", "--seed", "3")
    assert json_of(*words, code=3)["verdict"] == "undecided"
    assert "use 100 or more" in run(*words, code=3).stderr


def test_variances_reach_validate():
    found = json_of("validate", "linear-rnn", "--nu-W", "0.5", "--nu-C=2", "--width", "64", "--trials", "50", code=3)
    assert [c["prediction"] for c in found["checks"] if c["quantity"] == "second-moment"] == [2.0, 1.0]


# ---- what goes wrong ----------------------------------------------------------------------------
EVAL = ("eval", "linear-rnn", "scale-factors")
WIDE = ("validate", "linear-rnn", "--width", "200000000")
MISTAKES = {
    "unknown model": (("derive", "transformer"), "MODEL", "'transformer'"),
    "unknown quantity": (("derive", "linear-rnn", "rho"), "QUANTITY", "'rho'"),
    "unknown quantity of eval": (("eval", "linear-rnn", "rho"), "QUANTITY", "'rho'"),
    "unknown parameter": ((*EVAL, *NU, "--nu-X", "1"), "wideproof eval", "--nu-X"),
    "misspelt option": (("validate", "linear-rnn", "--widht", "100"), "wideproof validate", "--widht"),
    "not a number": ((*EVAL, "--nu-W", "a third"), "wideproof eval: --nu-W", "'a third'"),
    "not finite": ((*EVAL, "--nu-W", "nan"), "wideproof eval: --nu-W", "'nan'"),
    "no number": ((*EVAL, "--nu-W"), "wideproof eval: --nu-W", "''"),
    "negative variance": ((*EVAL, "--nu-W", "-0.3", "--nu-F", "1", "--nu-C", "1"), "scale_factors", "-0.3"),
    "negative variance of validate": (("validate", "linear-rnn", "--nu-W", "-1"), "nu_W", "-1.0"),
    "missing symbol": ((*EVAL, "--nu-F", "1", "--nu-C", "1"), "wideproof eval", "no --nu-W"),
    "no lags": ((*EVAL, *NU, "--lags", "0"), "wideproof eval", "--lags"),
    "kernel in eval": (("eval", "linear-rnn", "ntk", *NU), "eval", "ntk"),
    "one trial": (("validate", "linear-rnn", "--trials", "1"), "wideproof validate", "--trials"),
    "unknown device": (("validate", "linear-rnn", "--device", "tpu"), "wideproof validate", "--device"),
    "bad recording": (("report", "linear-rnn", "-o", "DIR", "--data", "no/such.csv"), "load_recording", "no/such.csv"),
    "unknown engine": (("report", "linear-rnn", "-o", "DIR", "--engine", "word"), "wideproof report", "--engine"),
    "no folder": (("report", "linear-rnn"), "wideproof report", "--out"),
    "unwritable folder": (("report", "linear-rnn", "-o", "FILE/x", "--data", "none"), "FILE", "directory"),
    "unknown verb": (("prove", "linear-rnn"), "wideproof", "prove"),
    "unknown option": (("--frobnicate",), "wideproof", "--frobnicate"),
    "too many words": (("models", "linear-rnn"), "wideproof models", "linear-rnn"),
    "more lags than fit": ((*EVAL, *NU, "--lags", "99999999999"), "memory", "allocate"),
    "wider than the machine": ((*WIDE, "--method", "dense"), "validate linear-rnn", "GB"),
    "too many layers": (("derive", "stacked", "ntk", "--layers", "1000"), "--layers", "'1000'"),
    "no precision": (("validate", "elman", "--budget", "0"), "wideproof validate: --budget", "0"),
    "no probability": (("validate", "amp", "--epsilon", "3"), "validate amp", "3"),
    "no ratio": (("eval", "amp", "corrections", "--steps", "1", "--delta", "0", "--epsilon", "0.1", "--nu-w", "0.1",
                  "--theta-0", "0.5"), "state evolution of amp", "0"),
    "negative variance of amp": (("report", "amp", "-o", "DIR", "--nu-w", "-1"), "nu_w", "-1"),
    "digits between underscores": ((*EVAL, "--nu-W", "1_0"), "wideproof eval: --nu-W", "'1_0'"),
    "digits of another script": ((*EVAL, "--nu-W", "٣"), "wideproof eval: --nu-W", "'٣'"),
    "a width of underscores": (("validate", "linear-rnn", "--width", "1_0"), "wideproof validate: --width", "'1_0'"),
    "a width of another script": (("validate", "linear-rnn", "--width=١٠"), "wideproof validate: --width", "'١٠'"),
    "an infinite width": (("validate", "linear-rnn", "--width", "inf"), "wideproof validate: --width", "'inf'"),
    "a width without end": (("validate", "linear-rnn", "--width", "9" * 9999), "wideproof validate: --width", "'9999"),
    "an infinite width of a figure": (("reproduce", "fig1", "--width", "inf"), "wideproof reproduce: --width", "'inf'"),
    "no rate": (("reproduce", "fig4", "--rate", "nan"), "wideproof reproduce: --rate", "'nan'"),
    "an infinite budget": (("validate", "elman", "--budget", "inf"), "wideproof validate: --budget", "'inf'"),
    "more steps than anybody waits for": (("reproduce", "fig1", "--set", "steps=1e18"), "--set steps", "1e18"),
    "negative steps": (("reproduce", "fig1", "--set", "steps=-3"), "--set steps", "-3"),
    "infinite steps": (("reproduce", "fig1", "--set", "steps=inf"), "--set steps", "inf"),
    "steps between underscores": (("reproduce", "fig1", "--set", "steps=1_0"), "--set steps", "1_0"),
    "a variance that is none": (("reproduce", "fig1", "--set", "nu_W=nan"), "--set nu_W", "nan"),
    "an exponent in a parameter": (("derive", "elman", "ntk", "--activation", "leaky_relu(1e99999999)"),
                                   "activation leaky_relu", "e99999999"),
    "a division by zero": (("derive", "elman", "ntk", "--activation", "leaky_relu(1/0)"), "activation leaky_relu",
                           "zoo"),
    "a pipe as recording": (("report", "linear-rnn", "-o", "DIR", "--data", "PIPE"), "PIPE", "a pipe"),
    "a pickle without consent": (("report", "linear-rnn", "-o", "DIR", "--data", "PICKLE"), "PICKLE", "none"),
    "columns without a file": (("report", "linear-rnn", "-o", "DIR", "--columns", "a,b"), "--columns", "0 recordings"),
    "misspelt option of memory": (("memory", "elman", "--nu-bb", "1"), "wideproof memory", "--nu-bb"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_two_lines_and_ends_with_2(name, tmp_path):
    words, where, got = MISTAKES[name]
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "a.pickle").write_bytes(b"cos\nsystem\n.")
    places = {"PIPE": str(tmp_path / "pipe.csv"), "PICKLE": str(tmp_path / "a.pickle")}
    places |= {"DIR": str(tmp_path / "out"), "FILE/x": str(tmp_path / "file" / "x"), "FILE": str(tmp_path / "file")}
    found = fields(*(places.get(word, word) for word in words))
    assert places.get(where, where) in found["where"]
    assert got.lower() in found["got"].lower()


@pytest.mark.parametrize(("words", "said"), [
    (("derive", "elmann"), "Did you mean elman?"), (("derive", "linear-rnn", "scale-factor"), "mean scale-factors?"),
    ((*EVAL, *NU, "--nu-w", "1"), "Did you mean --nu-W?"),
])  # fmt: skip
def test_a_word_that_is_nearly_right_is_named(words, said):
    assert said in fields(*words)["hint"]


def test_a_bad_recording_is_told_before_the_long_work(tmp_path, monkeypatch):
    late = "wideproof.reports.sections.monte_carlo.validated"
    monkeypatch.setattr(late, lambda *args, **more: pytest.fail("too late"))
    fields("report", "linear-rnn", "-o", str(tmp_path), "--data", str(tmp_path / "missing.csv"))


def test_cuda_without_cupy_names_the_line_to_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "array_api_compat.cupy", raising=False)
    found = fields("validate", "linear-rnn", "--device", "cuda", "--trials", "10")
    assert "pip install 'wideproof[cuda12]'" in found["hint"]


@pytest.mark.parametrize("text", ["[red]x[/]", "[/]", ":smile:", "[bold", "a[link]b[/link]", "\\[x]"])
def test_the_words_of_a_user_are_printed_as_they_are(text):
    assert fields("derive", text)["got"] == repr(text)
    assert text in fields(*EVAL, *NU, f"--{text}", "1")["got"]
    assert repr(text) in fields(*EVAL, f"--nu-W={text}")["got"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_models, "gallery", lambda: {text: models.linear_rnn})
        assert text in run("models").stdout


def test_with_json_an_error_leaves_standard_output_empty():
    assert fields("derive", "transformer", "--json")["where"] == "MODEL"


# ---- help, version, completion ------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_that_parses(command):
    text = " ".join(run(command, "--help").stdout.replace("│", " ").split())
    assert f"wideproof {command}" in text.split("Example", 1)[1]
    assert "--json" in text
    assert text == " ".join(run(command, "-h").stdout.replace("│", " ").split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("validate", ("--method", "matrix-free", "--dtype", "float32 halves the memory", "--budget", "0.01")),
        ("reproduce", ("--method", "krylov", "sampled", "at a cost free of the width", "float64")),
        ("report", ("--method", "krylov", "sampled")),
    ],
)
def test_help_teaches_the_choice_of_a_method(command, words):
    text = " ".join(run(command, "--help").stdout.replace("│", " ").split())
    assert all(word in text for word in words)


def test_a_precision_that_gains_nothing_is_refused():
    said = fields("validate", "linear-rnn", "--width", "64", "--trials", "50", "--dtype", "float32")
    assert said["expected"] == "float64, or the sampler dense"
    assert fields("validate", "elman", "--dtype", "float32")["expected"] == "float64"


@pytest.mark.parametrize(
    ("words", "said"),
    [("linear-rnn", "two-sided ("), ("elman --activation relu", "dense at n = 1, 2, 4, 8, 16 (n = 16 <= 4 x 40")],
)
def test_validate_says_which_samplers_it_took_and_why(words, said):
    done = CliRunner().invoke(app, ["validate", *words.split(), "--width", "16", "--trials", "4"])
    assert done.exit_code in (0, 1, 3), done.stderr
    assert said in done.stdout.split("samplers: ")[1]


def test_help_breaks_lines_where_the_terminal_ends():
    text = "One sentence\nover lines.\n\nExamples: [b]a[/b],\n[b]b[/b]\n"
    assert unwrapped(text) == "One sentence over lines.\n\nExamples: [b]a[/b],\n[b]b[/b]\n"
    assert unwrapped(None) is None
    lines = [line.strip() for line in run("--help", env={"COLUMNS": "80"}).stdout.splitlines()]
    assert any(line.endswith("stopped by") for line in lines)
    assert any(line.startswith("SIGINT and SIGTERM, 141 the reader of its output") for line in lines)


def test_help_describes_the_exit_codes_and_lists_the_verbs():
    text = run("--help").stdout
    for word in (
        "0 holds",
        "1 refuted",
        "3 undecided",
        "2 usage",
        "130 and 143",
        "141",
        "70",
        "--install-completion",
        "--version",
        *COMMANDS,
    ):
        assert word in text


def test_the_recordings_named_in_the_help_are_those_of_the_package():
    text = " ".join(run("reproduce", "--help", env={"COLUMNS": "200"}).stdout.split())
    assert f"Recordings: {', '.join(RECORDINGS)}, or a file" in text


@pytest.mark.parametrize("words", [("--help",), ("models",)])
def test_a_list_is_shown_without_loading_what_draws_and_samples(words):
    code = f"""import sys
from wideproof.reports.cli.app import app
app({list(words)}, prog_name="wideproof", standalone_mode=False)
late = ("matplotlib", "scipy.optimize", "wideproof.numeric.core", "wideproof.reports.write.figures")
print([name for name in late if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_that_of_the_package():
    from importlib import metadata

    assert run("--version").stdout == f"wideproof {metadata.version('wideproof')}\n"


# ---- report -------------------------------------------------------------------------------------
@pytest.fixture
def reported(monkeypatch, tmp_path):
    """The report command with the work replaced by a finished report of a given verdict."""
    calls = []

    def finish(verdict, notices=()):
        def made(recursion, out_dir, **options):
            calls.append((recursion.name, out_dir, options))
            return Report(verdict, (out_dir / "[x] report.tex",), notices)

        monkeypatch.setattr(report_module, "report", made)
        return calls

    return finish


@pytest.mark.parametrize(("verdict", "code"), [("holds", 0), ("refuted", 1), ("undecided", 3)])
def test_report_ends_with_its_verdict(reported, verdict, code, tmp_path):
    reported(verdict, ("no PDF: run [it]",))
    words = ("report", "linear-rnn", "-o", str(tmp_path))
    made = json_of(*words, code=code)
    assert made == {
        "verdict": verdict, "files": [str(tmp_path / "[x] report.tex")], "notices": ["no PDF: run [it]"],
    }  # fmt: skip
    result = run(*words, code=code)
    assert "[x] report.tex" in result.stdout
    assert "no PDF: run [it]" in result.stderr


def test_report_passes_its_options_on(reported, tmp_path):
    calls = reported("holds")
    run("report", "--nu-W", "0.5", "linear-rnn", "-o", str(tmp_path), "--data", "none", "--seed", "3")
    own = str(tmp_path / "a.npz")
    np.savez(own, inputs=np.arange(200.0), outputs=np.arange(200.0) ** 2)
    run("report", "linear-rnn", "-o", str(tmp_path), "--data", "daphnet", "--data", own, "--width", "9")
    run("report", "linear-rnn", "-o", str(tmp_path))
    first, second, third = (options for *_, options in calls)
    assert (first["nu_W"], first["data"], first["seed"]) == (0.5, (), 3)
    assert (second["data"], second["width"]) == (("daphnet", own), 9)
    assert third["data"] == ("er-fmri", "daphnet")


def test_how_a_file_is_read_is_said_before_the_run_and_consent_passed_on(reported, tmp_path):
    calls = reported("holds")
    (tmp_path / "a.dat").write_text("".join(f"{k} {k * k}\t{k % 7}\t\r\n" for k in range(200)))
    words = ("report", "linear-rnn", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "a.dat"))
    done = run(*words, "--columns", "u,v,y", "--outputs", "y", "--rate", "50")
    told = "read a.dat: 200 samples; 2 inputs u, v; 1 output y; 50 samples a second; the user's own file: 3 columns, "
    assert f"{told}without a header row" in done.stderr
    assert calls[-1][2]["columns"] == {"columns": ("u", "v", "y"), "outputs": ("y",), "rate": 50.0}
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"inputs": np.arange(200.0), "outputs": np.arange(200.0) ** 2}))
    done = run("report", "linear-rnn", "-o", str(tmp_path), "--data", str(tmp_path / "a.pickle"), "--allow-pickle")
    assert "read a.pickle: 200 samples; 1 input inputs; 1 output outputs" in done.stderr
    assert calls[-1][2]["columns"] == {"allow_pickle": True}


@pytest.mark.parametrize("bad", ["\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\u202egnp.csv", "a\x08\x08b"])
def test_no_word_of_a_user_reaches_the_terminal_raw(bad, tmp_path):
    """Names of models, quantities, options, files, folders and columns, in errors and in what is said of a file."""
    (tmp_path / f"{bad}.csv").write_text(f"{bad},y\n" + "1,2\n2,1\n" * 100)
    own = str(tmp_path / f"{bad}.csv")
    for words in (("derive", bad), ("derive", "elman", bad), ("eval", "elman", f"--{bad}", "1"), (bad,),
                  ("derive", "elman", "ntk", "--activation", bad), ("validate", "elman", "--width", bad),
                  ("reproduce", "fig1", "--set", f"steps={bad}"), ("reproduce", "fig1", "--set", bad),
                  ("report", "linear-rnn", "-o", str(tmp_path), "--data", own),
                  ("report", "linear-rnn", "-o", str(tmp_path), "--data", own, "--outputs", f"{bad}x"),
                  ("report", "linear-rnn", "-o", str(tmp_path), "--data", f"{own}x")):  # fmt: skip
        done = run(*words, code=2)
        shown = (done.stdout + done.stderr).replace("\n", "").replace("\t", "")
        assert shown.isprintable(), words
        assert len(shown) < 5000


# ---- as a program -------------------------------------------------------------------------------
WIDEPROOF = [sys.executable, "-c", "from wideproof.reports.cli.app import main; main()"]


def process(*words, **more):
    return subprocess.run([*WIDEPROOF, *words], capture_output=True, text=True, timeout=60, **more)


def test_as_a_program_it_answers_with_one_json_document():
    done = process(*EVAL, *NU, "--lags", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"values": [2.0, 1.6]}
    failed = process("derive", "transformer", "--json")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error in MODEL: expected linear-rnn or")


def heed_interrupts():
    """A shell's background jobs ignore SIGINT, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(("number", "code", "word"), [
    (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"),
])  # fmt: skip
@pytest.mark.parametrize("start", [WIDEPROOF, [sys.executable, "-m", "wideproof"]])
def test_stopped_by_a_signal_it_ends_with_its_code_and_one_line(number, code, word, start):
    child = subprocess.Popen([*start, "validate", "linear-rnn", "--width", "100000", "--trials", "1000000"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=heed_interrupts)  # fmt: skip
    assert child.stderr is not None
    assert "Monte Carlo" in child.stderr.readline()
    time.sleep(0.3)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code
    assert "Traceback" not in out + err
    assert err.splitlines()[-1].split(":")[0] == word  # then what is kept


@pytest.mark.parametrize(("number", "code", "word"), [
    (signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n"),
])  # fmt: skip
def test_stopped_while_it_loads_it_ends_with_its_code_too(number, code, word, tmp_path):
    """A module that the command line imports says that it is being loaded, and waits."""
    (tmp_path / "rich.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), *([os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else [])])
    child = subprocess.Popen([sys.executable, "-m", "wideproof", "models"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
                             preexec_fn=heed_interrupts)  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "loading\n"
    child.send_signal(number)
    assert child.communicate(timeout=30) == ("", word)
    assert child.returncode == code


def test_a_signal_that_is_to_be_ignored_is_ignored():
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "import wideproof.__main__ as command, sys\n"
        "sys.argv[1:] = ['--version']\n"
        "try:\n    command.main()\n"
        "finally:\n    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize(("stream", "words"), [
    ("stdout", ()), ("stdout", ("--help",)), ("stdout", ("eval", "--help")), ("stdout", ("models",)),
    ("stdout", ("models", "--json")), ("stdout", (*EVAL, *NU, "--lags", "9")), ("stderr", ("derive", "transformer")),
])  # fmt: skip
def test_a_reader_that_has_left_is_never_a_refutation(stream, words):
    """The reader's end of a pipe is closed before the start: 141, and not a word."""
    read, write = os.pipe()
    os.close(read)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: write}
    done = subprocess.run([*WIDEPROOF, *words], **streams)
    os.close(write)
    assert done.returncode == 141
    assert (done.stdout or b"") + (done.stderr or b"") == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("words", [("models",), ("models", "--json"), ("--help",)])
def test_an_output_without_room_is_never_a_verdict(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*WIDEPROOF, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_defect_is_not_a_refutation():
    code = """import sys
from wideproof.reports.cli import app
def broken():
    raise ZeroDivisionError("a defect")
app.app.command("broken")(broken)
sys.argv[1:] = ["broken"]
app.main()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 70
    assert "ZeroDivisionError: a defect" in done.stderr


def test_the_shell_completes_models_and_quantities():
    def complete(words, last):
        more = {"_WIDEPROOF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}
        code = "from wideproof.reports.cli.app import app; app(prog_name='wideproof')"
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | more, capture_output=True, text=True)
        return done.stdout.split()

    assert complete("wideproof derive lin", 2) == ["linear-rnn"]
    assert "scale-factors" in complete("wideproof eval linear-rnn sca", 3)


def test_a_missing_engine_leaves_the_source_and_ends_by_the_verdict(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "made", lambda *args, **more: tiny_run)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pandoc.importlib.util, "find_spec", lambda name: None)
    out = tmp_path / "out"
    result = run("report", "linear-rnn", "-o", str(out), "--data", "none", code=EXIT[tiny_run.verdict])
    assert (out / "report.tex").exists()
    assert not (out / "report.pdf").exists()
    assert pandoc.INSTALL in result.stderr
    assert pdftex.INSTALL in result.stderr
    assert json.loads((out / "run.json").read_text())["engine"] is None


def test_an_error_of_ours_is_what_python_raises_too():
    with pytest.raises(ParameterError) as caught:
        cli_models.model_named("transformer")
    assert caught.value.where == "MODEL"


def test_options_of_a_model_are_those_of_its_function(unverified):
    assert "erf" in json_of("derive", "elman", "nngp")["derivations"][0]["latex"]
    assert "tanh" in json_of("derive", "elman", "nngp", "--activation", "tanh")["derivations"][0]["latex"]
    deep = json_of("derive", "stacked", "adjoint", "--layers", "3")["derivations"][0]
    assert "h_{3,t}" in deep["latex"]
    for words, where in (
        (("stacked", "--layers", "many"), "--layers"), (("elman", "--tied", "maybe"), "--tied"),
        (("elman", "--layers", "3"), "wideproof derive"), (("elman", "--activation", "tan"), "activation"),
    ):  # fmt: skip
        assert fields("derive", words[0], "nngp", *words[1:], "--json")["where"] == where


def test_kernels_of_a_recursion_are_validated():
    words = ("validate", "elman", "--activation", "tanh", "--width", "256", "--trials", "200", "--nu-W", "0.5")
    found = json_of(*words, code=3)  # too few networks to hold
    assert found["verdict"] == "undecided"
    assert {check["quantity"] for check in found["checks"]} == {"nngp", "ntk"}
    assert all(len(check["lag"]) == 4 for check in found["checks"])
    told = run(*words, code=3)
    text = told.stdout
    assert "cannot decide: 200 networks a width see an entry" in told.stderr
    assert "measured coefficient of 1/n" in text
    assert "sequences, times" in text
    assert "0 and 1, 3 and 3" in text


def test_no_module_of_the_command_line_imports_another_in_a_circle():
    reach: dict[str, set[str]] = {}
    for path in Path(cli_models.__file__).parent.glob("*.py"):
        names = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        room = "wideproof.reports.cli."
        reach[path.stem] = {name.removeprefix(room) for name in names if name and name.startswith(room)}
    assert set(TopologicalSorter(reach).static_order()) >= {"app", "models", "memory"}
