"""The whole report at toy size: its structure, its numbers beside run.json, both engines, equal bytes."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections import Counter
from types import SimpleNamespace

import pypdf
import pytest

from tests.reports.pages import main as pages_main, sparse
from wideproof.derive import models
from wideproof.derive.language.errors import StoreError
from wideproof.derive.memory_horizon.two_run_maps import Memoryless
from wideproof.derive.proof.proof import Proof
from wideproof.numeric import load_run
from wideproof.numeric.runs.crew import ALONE, Crew
from wideproof.numeric.validation.kernels import KernelMeasurements
from wideproof.numeric.validation.parts import compare, merge
from wideproof.reports import report
from wideproof.reports.document.blocks import figures, labels
from wideproof.reports.document.numbers import value
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.render import render
from wideproof.reports.render.subprocesses import MissingEngine
from wideproof.reports.render.typeset import typeset
from wideproof.reports.sections import report as module
from wideproof.reports.sections.alternating import confirmation as lines
from wideproof.reports.sections.linear.finite_width import fourths, seconds
from wideproof.reports.sections.linear.recordings import compared
from wideproof.reports.sections.linear.run import convolution, response, scale
from wideproof.reports.sections.nonlinear import confirmation, memory, tied, training
from wideproof.reports.sections.opening import tally
from wideproof.reports.sections.report import document

NEEDS_TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not on PATH")
NUMBER = re.compile(r"\d+\.\d+(?:\(\d+\))?")


@pytest.fixture(scope="module")
def told(tiny_run, tmp_path_factory):
    """The document of the toy run, its figures drawn, and its source."""
    folder = tmp_path_factory.mktemp("told")
    made = document(tiny_run, folder)
    return made, typeset(made), folder


@pytest.fixture(scope="module")
def written(tiny_run, tmp_path_factory):
    """The same run, reported by Typst."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "made", lambda *args, **more: tiny_run)
        return report(models.linear_rnn(), tmp_path_factory.mktemp("typst"), data=("x.npz",), seed=2, engine="typst")


def text_of(pdf):
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)


def test_the_source_has_every_part_in_its_order(told):
    made, tex, _ = told
    headings = re.findall(r"\\section\{([^}]*)\}", tex)
    assert headings == [
        "Introduction", "The model", "The limit of infinite width", "What the formulas say",
        "Confirmation at finite width", "Exact moments at every width", "Training", "Real recordings", "Conclusion",
        "How this report was made",
    ]  # fmt: skip
    assert tex.count(r"\begin{theorem}") == tex.count(r"\begin{proof}") == 5
    assert tex.count(r"\begin{figure}") == 8
    assert {"eq:rho", "eq:variance", "eq:gain", "tab:lags", "tab:others", "fig:gap"} <= set(labels(made))
    lint_tex(tex)


def test_every_label_is_one_and_every_reference_resolves(told):
    _, tex, _ = told
    defined = re.findall(r"\\label\{([^}]*)\}", tex)
    assert len(set(defined)) == len(defined)
    assert set(re.findall(r"\\(?:eq)?ref\{([^}]*)\}", tex)) <= set(defined)


def test_the_formulas_are_the_derived_ones(told, tiny_run):
    _, tex, _ = told
    exact = [x for x in (*tiny_run[seconds], *tiny_run[fourths]) if len(x.formula.latex()) < 60]
    assert len(exact) >= 2
    for derivation in (*(tiny_run[need] for need in (response, scale, convolution)), *exact):
        assert derivation.formula.latex() in tex


def printed(x, error=None, **more):
    return value(x, error, **more).body


def expected_numbers(results):
    """Every number the tables and sentences must print, from run.json."""
    by_lag = {name: [c for c in results["validation"] if c["quantity"] == name]
              for name in ("second-moment", "scale-factor")}  # fmt: skip
    for v, w in zip(*by_lag.values(), strict=True):
        cells = [printed(v["prediction"]), printed(v["estimate"], v["stderr"]), v["verdict"],
                 printed(w["prediction"]), printed(w["estimate"], w["stderr"]), w["verdict"]]  # fmt: skip
        yield " & ".join(f"${x}$" if x not in ("holds", "refuted", "undecided") else x for x in cells)
    for c in results["finite_width"]["checks"]:
        yield " & ".join(f"${printed(*x)}$" for x in ((c["prediction"],), (c["estimate"], c["stderr"])))
    yield printed(results["training"]["train_gap"], digits=3)
    yield printed(results["training"]["step_size"])
    yield printed(results["gaps"]["slope"], results["gaps"]["slope_stderr"])
    for recording in results["recordings"]:
        for regime in recording["regimes"]:
            for score in regime["scores"]:
                yield from (printed(r, e) for r, e in zip(score["r2"], score["stderr"], strict=True))
            for contrast in regime["contrasts"]:
                yield from (printed(d, e) for d, e in zip(contrast["difference"], contrast["stderr"], strict=True))


def test_the_numbers_are_those_of_run_json(written):
    record = json.loads((written.files[0].parent / "run.json").read_text())
    tex = written.files[0].read_text()
    wanted = list(expected_numbers(record["results"]))
    assert len(wanted) > 20
    assert [number for number in wanted if number not in tex] == []
    assert (record["seed"], record["engine"], record["inputs"]["data"]) == (2, "typst", ["x.npz"])
    assert record["results"]["verdict"] == written.verdict
    record["results"]["validation"][0]["estimate"] *= 1.02  # a number changed in either place is seen
    assert any(number not in tex for number in expected_numbers(record["results"]))


def test_files_page_and_references(written):
    names = [path.name for path in written.files]
    assert names == ["report.tex", "report.pdf", "report.html", "run.json"]
    assert written.notices == ()
    page = written.files[2].read_text()
    assert page.count("<math") > 50
    assert page.count("data:image/svg+xml;base64,") == 8
    assert not re.search(r'(src|href)="(?!#|data:|https://(?:arxiv|doi)\.org/)', page)
    for text in (page, text_of(written.files[1])):
        assert "??" not in text
        assert "[eq:" not in text
    assert "filtered_50%.npz" in text_of(written.files[1])
    assert sparse(written.files[1]) == []  # no page of pictures before a half-empty one


def test_a_page_that_is_half_empty_is_seen(tmp_path):
    """Text on every line fills a page, a picture's room does not."""
    import typst

    for name, body, few in (("full", "#lorem(900)", 0), ("sparse", "#v(400pt) #lorem(60) #pagebreak() #lorem(9)", 1)):
        source = f'#set page(paper: "a4", margin: 29mm)\n#set par(leading: 0.58em)\n{body}'
        (tmp_path / f"{name}.pdf").write_bytes(typst.compile(source.encode()))
        assert len(sparse(tmp_path / f"{name}.pdf")) == few
        assert pages_main([str(tmp_path / f"{name}.pdf")]) == few


@NEEDS_TEX
def test_both_engines_print_the_same_numbers(tiny_run, undrawn, tmp_path, monkeypatch):
    """Without the figures, whose tick labels are no text of the report, and without the page."""
    made = document(tiny_run, tmp_path)
    (tmp_path / "figures").mkdir()
    for figure in figures(made):
        blank = pypdf.PdfWriter()
        blank.add_blank_page(300, 200)
        blank.write(figure.stem.with_name(f"{figure.stem.name}.pdf"))
        empty = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"/>'
        figure.stem.with_name(f"{figure.stem.name}.svg").write_text(empty)
        figure.stem.with_name(f"{figure.stem.name}.csv").write_text("")
    monkeypatch.setattr("wideproof.reports.render.render._html", lambda *_: None)
    counts = []
    for engine in ("pdflatex", "typst"):
        body = text_of(render(made, tmp_path, engine).pdf).split("References")[0]
        assert "??" not in body
        counts.append(Counter(NUMBER.findall(body)))
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) > 40


def test_equal_runs_give_equal_sources_and_another_run_another(told, written, tiny_run, undrawn, tmp_path):
    """Figures are those of the report that `written` drew of the same run."""
    _, tex, folder = told
    assert typeset(document(tiny_run, tmp_path)) == tex
    drawn = sorted((folder / "figures").iterdir())
    assert len(drawn) == 3 * 8
    for figure in drawn:
        assert figure.read_bytes() == (written.files[0].parent / "figures" / figure.name).read_bytes()


def test_other_numbers_give_another_source(told, tiny_run, undrawn, tmp_path):
    other = dataclasses.replace(tiny_run, nu=tiny_run.nu | {"nu_W": 0.25})
    assert typeset(document(other, tmp_path)) != told[1]


def test_without_recordings_there_is_no_section_on_them(tiny_run, undrawn, tmp_path):
    tex = typeset(document(tiny_run.having({compared: ()}), tmp_path))
    assert "Real recordings" not in tex
    lint_tex(tex)


def test_an_engine_that_fails_by_name_leaves_source_and_record(tiny_run, tmp_path, monkeypatch):
    def missing(*args):
        raise MissingEngine("pdflatex", "pdflatex on PATH", "none", "Run: apt-get")

    monkeypatch.setattr(module, "made", lambda *args, **more: tiny_run)
    monkeypatch.setattr("wideproof.reports.render.pdftex.pdf", missing)
    with pytest.raises(MissingEngine):
        report(models.linear_rnn(), tmp_path, data=(), engine="pdflatex")
    assert (tmp_path / "report.tex").exists()
    assert json.loads((tmp_path / "run.json").read_text())["results"]["gaps"]


def test_a_report_that_is_killed_goes_on_with_its_monte_carlo(tmp_path, monkeypatch):
    """The draws are a run in the folder; the next call reads them, and one of other numbers is refused."""
    drawn, draw = [], KernelMeasurements.draw

    def counted(plan, chunk):
        drawn.append(chunk)
        return draw(plan, chunk)

    monkeypatch.setattr(KernelMeasurements, "draw", staticmethod(counted))

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(confirmation, "kernel_curves", stop)
    setting = {"width": 16, "trials": 60, "seed": 4}
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            report(models.elman("tanh"), tmp_path, **setting)
    assert len(drawn) == 10 == load_run(tmp_path / "monte-carlo").done
    with pytest.raises(StoreError):
        report(models.elman("tanh"), tmp_path, **(setting | {"trials": 70}))


@pytest.fixture
def unwritten(monkeypatch):
    """Numbers alone: documents are not under test, nor proofs, which tests/derive verifies."""
    monkeypatch.setattr(module, "document", lambda *_: None)
    monkeypatch.setattr(module, "titled", lambda document, own: document)
    monkeypatch.setattr(module, "render", lambda *_: SimpleNamespace(tex=None, pdf=None, html=None, engine=None,
                                                                     notices=()))  # fmt: skip
    monkeypatch.setattr(Proof, "verify", lambda self: None)


def memoryless(program):
    raise Memoryless("memory", "a state that feeds itself", program.name, "Leave it out.")


@pytest.mark.parametrize("kind", ["kernels", "lines"])
def test_parts_of_a_report_leave_nothing_to_draw_and_make_the_report_of_one_place(
    kind, tmp_path, monkeypatch, unwritten
):
    monkeypatch.setattr(training, "TRAINED_WIDTHS", (8, 16, 32))
    for name, small in {"DISTANCE_WIDTHS": (8, 16, 32), "CURVE_WIDTH": 16, "CURVE_TRIALS": 60}.items():
        monkeypatch.setattr(confirmation, name, small)
    monkeypatch.setattr(tied, "untied", lambda program: program)
    monkeypatch.setattr(memory, "memory", memoryless)
    monkeypatch.setattr(lines, "PARTS_WIDTH", 64)
    model, options = models.elman("erf") if kind == "kernels" else models.amp(), {"seed": 2, "width": 64, "trials": 20}
    report(model, tmp_path / "whole", **options)
    for k in (1, 2):
        part = report(model, tmp_path / str(k), shard=(k, 2), **options)
        assert (part.verdict, part.files) == ("undecided", ())
    assert merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged").lacking == ()

    def idle(self, work, pieces):
        assert [piece for piece in pieces if piece] == []
        return iter(())

    monkeypatch.setattr(Crew, "each", idle)
    module.resume(tmp_path / "merged", ALONE)
    assert compare(tmp_path / "merged", tmp_path / "whole")["identical"] is True


def test_verdicts_are_counted_in_words_and_a_reason_is_said_once():
    def found(*verdicts):
        return tally([SimpleNamespace(verdict=verdict) for verdict in verdicts], "entries")

    assert found("undecided", "undecided") == "all 2 entries are undecided"
    assert found("holds", "undecided") == "of 2 entries 1 holds, 1 is undecided and none is refuted"
    made = [SimpleNamespace(quantity=q, reason=r) for q, r in (("nngp", "a"), ("ntk", "a"), ("nngp", ""), ("ntk", "b"))]
    assert confirmation._reasons(made) == "NNGP kernel and tangent kernel: a; tangent kernel: b"
    one = SimpleNamespace(quantity="ntk", step=0, sequences=(0, 0), measured=1.0, stderr=0.1, derived=None, z=None)
    assert "derived" not in confirmation._coefficients([one], derived=False).heads
    assert (confirmation._rounded(-2e-14, 1.3), confirmation._rounded(-2e-3, 1.3)) == (0.0, -2e-3)
