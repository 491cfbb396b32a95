import numpy as np
import pytest

from wideproof.reports.write import figures

X = np.arange(1, 6)
RNG = np.random.default_rng(3)
DRAWN = {
    "decay": lambda: figures.decay(X, {"a": 0.5**X}, "x", "y", {"a": 0.1 * 0.5**X}, {"a": 0.5**X}),
    "qq": lambda: figures.gaussian_qq({"a": RNG.standard_normal(1000)}),
    "histogram": lambda: figures.histogram({"a": RNG.standard_normal(1000)}, "x"),
    "power": lambda: figures.power_law(2**X, {"a": 3.0 / 2**X}, "n", "error", {"a": 0.1 / 2**X}),
    "training": lambda: figures.training({"a": 0.5**X, "b": 0.5**X}, steps=X),
    "bars": lambda: figures.grouped_bars(["p", "q"], {"a": [1, -1], "b": [0.5, 0.2]}, "R", {"a": [0.1, 0.1]}),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_figure_is_saved_in_both_formats(name, tmp_path):
    stem = figures.save(DRAWN[name](), tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.pdf", f"{name}.svg"]
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert b"<text" not in stem.with_suffix(".svg").read_bytes()


def test_equal_figures_give_equal_bytes_and_different_ones_do_not(tmp_path):
    a, b = (figures.save(DRAWN["decay"](), tmp_path / str(i), "decay") for i in range(2))
    other = figures.save(figures.decay(X, {"a": 0.5**X * 1.1}, "x", "y"), tmp_path / "c", "decay")
    for suffix in (".pdf", ".svg"):
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


def test_a_gaussian_sample_lies_on_the_diagonal_and_a_wider_one_does_not():
    for scale, near in ((1.0, True), (1.5, False)):
        (axes,) = figures.gaussian_qq({"a": scale * RNG.standard_normal(20000)}).axes
        x, y = axes.lines[0].get_data()
        inside = np.abs(x) < 2
        assert bool(np.max(np.abs(y - x)[inside]) < 0.1) is near


def test_a_bar_is_as_high_as_its_value():
    (axes,) = DRAWN["bars"]().axes
    assert [bar.get_height() for bar in axes.patches] == [1, -1, 0.5, 0.2]


def test_figures_saved_at_once_do_not_meet(tmp_path, monkeypatch):
    """Half of them failed: all were drawn into one file beside it. Now nothing is there until the whole figure is."""
    written = {}

    def write(path, data):
        assert list(tmp_path.iterdir()) == []
        written[path.name] = data[:5]

    monkeypatch.setattr(figures, "write_atomically", write)
    figures.save(DRAWN["decay"](), tmp_path, "decay")
    assert written == {"decay.pdf": b"%PDF-", "decay.svg": b"<?xml"}


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
