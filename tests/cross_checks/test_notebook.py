"""A notebook is executed and rendered: every object shows itself in one line, and as HTML without its insides."""

import re

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
nbconvert = pytest.importorskip("nbconvert")

CELLS = (
    "import numpy as np, wideproof as wp",
    "wp.models.elman('tanh')",
    "rho = wp.scale_factors(wp.models.linear_rnn()); rho",
    "wp.ntk(wp.models.elman('relu'))",
    "rho.formula",
    "rho.proof",
    "wp.memory(wp.models.linear_rnn())",
    "kernel = wp.Kernel(wp.models.elman('erf'), nu_W=1, nu_F=1, nu_b=0.1, nu_C=1, readout='last'); kernel",
    "X = np.random.default_rng(0).normal(size=(4, 3, 1)); kernel.evaluate('ntk', X)",
    "wp.posterior(kernel, X, X[:, 0, 0], X, noise=0.1)",
    "wp.validate(wp.models.linear_rnn(), width=64, trials=300, seed=1, nu_W=0.5, nu_F=1, nu_C=1)",
    "wp.models.amp()",
    "wp.check(wp.models.linear_rnn(), 'stability', 'nu_W')",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute(
        cwd=str(tmp_path_factory.mktemp("nb"))
    )
    return notebook


def shown(notebook, kind):
    for cell in notebook.cells[1:]:
        (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
        yield cell.source, result.data.get(kind, "")


def test_every_object_is_one_line_of_text(executed):
    for source, text in shown(executed, "text/plain"):
        assert 0 < len(text) < 400, source
        assert "\n" not in text, source
        assert " object at 0x" not in text, source


def test_mathematics_verdicts_and_steps_stand_in_html(executed):
    pages = dict(shown(executed, "text/html"))
    proof, verdict = pages["rho.proof"], pages[CELLS[10]]
    assert proof.count("<details>") == int(re.search(r"(\d+) steps", proof)[1]) > 10
    assert all(status in proof for status in ("assumed", "proved", "cited"))
    assert re.search(r"<strong[^>]*>(holds|undecided)</strong>", verdict)
    assert "<svg role" in verdict
    assert ">0</text>" in verdict
    for source in (CELLS[1], CELLS[2], CELLS[3], CELLS[7]):
        assert "$$" in pages[source], source
    assert "±" in pages[CELLS[9]]
    assert not any("></th>" in html for html in pages.values())


def test_the_notebook_renders_with_every_tag_closed(executed):
    page, _ = nbconvert.HTMLExporter().from_notebook_node(executed)
    pages = [html for _, html in shown(executed, "text/html")]
    assert page.count("<details>") == sum(html.count("<details>") for html in pages)
    for html in pages:
        for tag in ("div", "details", "table", "ol", "ul", "li", "svg", "summary"):
            assert len(re.findall(f"<{tag}[ >]", html)) == html.count(f"</{tag}>"), tag
