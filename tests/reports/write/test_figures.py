import csv

import numpy as np
import pytest

from wideproof.reports.write import figures, picture

X = np.arange(1, 6)
RNG = np.random.default_rng(3)
DRAWN = {
    "decay": lambda: figures.decay(X, {"a": 0.5**X}, "x", "y", {"a": 0.1 * 0.5**X}, {"a": 0.5**X}),
    "qq": lambda: figures.gaussian_qq({"a": RNG.standard_normal(1000)}),
    "power": lambda: figures.power_law(2**X, {"a": 3.0 / 2**X}, "n", "error", {"a": 0.1 / 2**X}),
    "training": lambda: figures.training({"a": 0.5**X, "b": 0.5**X}, steps=X),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_figure_is_saved_in_every_format(name, tmp_path):
    stem = picture.save(DRAWN[name](), tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.csv", f"{name}.pdf", f"{name}.svg"]
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert b"<text" not in stem.with_suffix(".svg").read_bytes()


def test_equal_figures_give_equal_bytes_and_different_ones_do_not(tmp_path):
    a, b = (picture.save(DRAWN["decay"](), tmp_path / str(i), "decay") for i in range(2))
    other = picture.save(figures.decay(X, {"a": 0.5**X * 1.1}, "x", "y"), tmp_path / "c", "decay")
    for suffix in (".pdf", ".svg", ".csv"):
        assert a.with_suffix(suffix).read_bytes() == b.with_suffix(suffix).read_bytes()
        assert a.with_suffix(suffix).read_bytes() != other.with_suffix(suffix).read_bytes()


def test_the_fitted_power_is_the_power():
    (axes,) = figures.power_law(2**X, {"a": 3.0 / 2.0**X, "b": 2.0**X}, "n", "e").axes
    assert axes.get_legend_handles_labels()[1] == ["a: slope $-1.00$", "b: slope $1.00$"]


def test_a_power_that_is_given_is_the_one_drawn():
    (axes,) = figures.power_law(2**X, {"a": 3.0 / 2.0**X}, "n", "e", slopes={"a": (-0.52, 0.013)}).axes
    assert axes.get_legend_handles_labels()[1] == [r"a: slope $-0.520 \pm 0.013$"]
    (line,) = (line for line in axes.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) > 1)
    drawn = np.polyfit(np.log(line.get_xdata()), np.log(line.get_ydata()), 1)[0]
    assert drawn == pytest.approx(-0.52)


@pytest.mark.parametrize(("span", "plain"), [(20.0, True), (1000.0, False)], ids=["short", "long"])
def test_a_short_logarithmic_axis_has_plain_numbers(span, plain):
    drawn = figures.training({"a": [0.1 * span, 0.1]})
    drawn.canvas.draw()
    (axes,) = drawn.axes
    found = [label.get_text() for label in (*axes.get_yticklabels(), *axes.get_yticklabels(minor=True))]
    assert ("$0.5$" in found) is plain
    assert any("10^" in text for text in found) is not plain


def test_a_gaussian_sample_lies_on_the_diagonal_and_a_wider_one_does_not():
    for scale, near in ((1.0, True), (1.5, False)):
        (axes,) = figures.gaussian_qq({"a": scale * RNG.standard_normal(20000)}).axes
        x, y = axes.lines[0].get_data()
        inside = np.abs(x) < 2
        assert bool(np.max(np.abs(y - x)[inside]) < 0.1) is near


def test_figures_saved_at_once_do_not_meet(tmp_path, monkeypatch):
    """Half of them failed: all were drawn into one file beside it. Now nothing is there until the whole figure is."""
    written = {}

    def write(path, data):
        assert list(tmp_path.iterdir()) == []
        written[path.name] = data[:5]

    monkeypatch.setattr(picture, "write_atomically", write)
    picture.save(DRAWN["decay"](), tmp_path, "decay")
    assert written == {"decay.pdf": b"%PDF-", "decay.svg": b"<?xml", "decay.csv": "panel"}


def test_pictures_begin_at_the_floor_or_at_the_best_of_the_lowest_curve():
    x = np.array([0, 1, 10])
    near, far = {"a": [-9, 0.1, 0.5], "b": [-7, 0, 0.4]}, {"a": [-90, -3, -1], "b": [-90, -8, -4]}
    errors = {part: {name: np.ones(3) for name in "ab"} for part in ("near", "far")}
    drawn = figures.panels(x, {"near": near, "far": far}, "step", "score", errors, -0.6, steps=True)
    for axes, low, high in zip(drawn.axes, (-0.6, -4), (0.5, -1), strict=True):
        bottom, top = axes.get_ylim()
        assert low - 0.1 * (high - low) < bottom < low < high < top < high + 0.1 * (high - low)
        assert len(axes.collections) == 2  # one band for each curve
        assert 0.5 < axes.get_xlim()[0] < 1  # step 0 shows nothing
    (axes,) = figures.panels(x, {"near": near}, "step", "score", steps=True).axes
    assert axes.get_xlim()[0] == 0
    (axes,) = figures.panels(x + 1, {"near": near}, "step", "score", steps=True).axes
    assert axes.get_xscale() == "log"


def test_the_numbers_beside_a_figure_are_those_it_shows(tmp_path):
    stem = picture.save(DRAWN["power"](), tmp_path, "power")
    rows = list(csv.DictReader(stem.with_suffix(".csv").read_text().splitlines()))
    assert list(rows[0]) == ["panel", "curve", "n", "error", "standard error"]
    own = [row for row in rows if row["curve"] == "a"]
    assert [float(row["error"]) for row in own] == [3.0 / 2**k for k in X]
    assert [float(row["standard error"]) for row in own] == [0.1 / 2**k for k in X]
    fitted = [row for row in rows if row["curve"] == "a, the fitted power"]
    assert [row["standard error"] for row in fitted] == [""] * 5
    assert float(fitted[-1]["error"]) == pytest.approx(3.0 / 32)


def test_a_figure_is_told_by_its_numbers():
    said = picture.described(figures.decay(X, {r"$\nu_W = 1$": [1, 3, 2, 2, 0.5]}, "lag $j$", r"$\rho_j$"))
    assert said == "ρ_j against lag j. ν_W = 1 falls from 1 at 1 to 0.5 at 5, largest 3 at 2."
    assert "rises from 1 at 1 to 4 at 5." in picture.described(figures.decay(X, {"a": [1, 1, 2, 3, 4]}, "x", "y"))


def test_curves_are_told_apart_without_colour():
    """By line or by mark: seven curves have seven styles."""
    names = "abcdefg"
    for drawn in (figures.decay(X, {name: X for name in names}, "x", "y"), figures.training({n: X for n in names})):
        styles = {(str(line._dash_pattern), line.get_linestyle(), line.get_linewidth()) for line in drawn.axes[0].lines}
        assert len(styles) == 7


def test_no_curve_runs_through_the_names_of_many():
    """Five slow descents leave no room for five names beside them: the names stand above."""
    step = np.arange(21)
    curves = {f"n = {rate}": 10.0 ** (-rate * step / 100) for rate in range(13, 18)}
    drawn = figures.training(curves)
    drawn.canvas.draw()
    (names,) = drawn.legends
    assert drawn.axes[0].get_legend() is None
    assert names.get_window_extent().y0 >= drawn.axes[0].get_window_extent().y1
    few = figures.training(dict(list(curves.items())[:4]))
    assert not few.legends
    assert few.axes[0].get_legend() is not None


def test_error_bars_stand_beside_each_other_and_at_points_that_are_shown():
    """Twelve points: the curves take a few bars in turn. Three: side by side. Below the frame there is none."""
    x = np.arange(12)
    curves = {"p": {"a": np.linspace(-5, 1, 12), "b": np.linspace(0, 1, 12)}}
    errors = {"p": {name: np.full(12, 9.0) for name in "ab"}}
    (axes,) = figures.panels(x, curves, "step", "score", errors, -0.6, steps=True).axes
    bars = [[segment[0][0] for segment in own.get_segments()] for own in axes.collections]
    assert not set(bars[0]) & set(bars[1])
    assert all(np.interp(place, x, curves["p"]["a"]) >= axes.get_ylim()[0] for place in bars[0])
    assert 0 < len(bars[0]) < len(bars[1]) <= figures.BARS
    few = {"p": {name: [0.1, 0.2, 0.3] for name in "ab"}}
    (axes,) = figures.panels(x[:3], few, "nu", "score", {"p": {name: [1, 1, 1] for name in "ab"}}).axes
    places = [segment[0][0] for own in axes.collections for segment in own.get_segments()]
    assert len(set(places)) == len(places) == 6
