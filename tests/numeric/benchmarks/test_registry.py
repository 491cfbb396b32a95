"""The benchmarks at toy sizes: the contract of their rows, and rivals wrong by a thousandth."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.gaussian_means import gaussian_mean
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.benchmarks import (
    BENCHMARKS,
    BenchResult,
    Case,
    DisagreementError,
    Row,
    bench,
    gates,
    kernels,
    machine,
    runner,
    sampling,
    training,
)
from wideproof.numeric.benchmarks.kernel_rivals import NETS, SCAN, ErfRecursion, Net, hermite
from wideproof.numeric.benchmarks.rivals import LIBRARIES, DenseSampler, Library
from wideproof.numeric.benchmarks.rows import Note
from wideproof.numeric.core import timing

FIELDS = ("name", "rival", "n", "T", "n_x", "n_y", "N", "dtype", "ratio")
TOY = {
    "training": (Case(12, T=4, N=3), Case(12, T=4, N=3, dtype="float32")),
    "training-many": (Case(9, T=4, n_x=3, n_y=2, N=3), Case(9, T=1, n_x=2, n_y=3, N=2)),
    "monte-carlo": (Case(20, T=4, trials=50), Case(3, T=4, n_x=3, n_y=2, trials=50)),
    "monte-carlo-ntk": (Case(20, T=4, trials=50), Case(7, T=3, n_x=1, n_y=2, trials=50)),
    "width": (Case(20, T=4, trials=50), Case(10**12, T=4, trials=50)),
    "width-ntk": (Case(20, T=4, trials=50), Case(10**12, T=4, trials=50)),
    "training-width": (Case(1000, T=4, N=5), Case(10**12, T=4, N=5)),
    "training-subspace": (Case(60, T=4, N=5), Case(60, T=4, n_x=2, n_y=3, N=5)),
    "precision": (Case(20, T=4, trials=5, dtype="float32"),),
    "kernel-net": (Case(0, T=1, n_x=3, N=5),),
    "kernel-net-threads": (Case(0, T=1, n_x=3, N=5),),
    "kernel-net-tanh": (Case(0, T=1, n_x=3, N=5),),
    "kernel-all": (Case(0, T=4, n_x=3, N=1), Case(0, T=6, n_x=3, N=1)),
    "kernel-last": (Case(0, T=4, n_x=3, N=5), Case(0, T=1, n_x=3, N=4)),
    "kernel-sweep": (Case(0, T=2, n_x=3, N=5),),
    "kernel-scan": (Case(0, T=3, n_x=3, N=4),),
    "kernel-coupled": (Case(0, T=2, n_x=3, N=5),),
    "kernel-smooth": (Case(0, T=2, n_x=3, N=5),),
    "kernel-smooth-coupled": (Case(0, T=2, n_x=3, N=5, nu_W=0.1),),
    "kernel-threads": (Case(0, T=2, n_x=3, N=5),),
    "kernel-gates": (Case(0, T=3, n_x=2, N=4),),
    "kernel-tanh": (Case(0, T=1, N=5),),
}
PROBLEMS = {
    "kernel-net": [TOY["kernel-net"][0]] * 3,  # ReLU, erf and gelu
    "kernel-net-threads": [TOY["kernel-net-threads"][0]] * 3,
    "kernel-all": [TOY["kernel-all"][0], *TOY["kernel-all"]],  # the first also against each pair of times
    "kernel-last": [TOY["kernel-last"][0], *TOY["kernel-last"]],  # the first also against all pairs of times
    "kernel-sweep": [TOY["kernel-sweep"][0]] * 4,  # relu, erf, leaky relu, stacked
    "kernel-scan": [TOY["kernel-scan"][0]] * 3,  # ReLU, erf and gelu
    "kernel-smooth": [TOY["kernel-smooth"][0]] * 3,  # three variances of the inputs
    "kernel-smooth-coupled": [TOY["kernel-smooth-coupled"][0]] * 2,  # leaky and residual
    "kernel-threads": [TOY["kernel-threads"][0]] * 2,  # erf and tanh
    "kernel-coupled": [TOY["kernel-coupled"][0]] * 2,  # leaky and residual
    "kernel-gates": [TOY["kernel-gates"][0]] * 2,  # GRU and LSTM
    "kernel-tanh": [TOY["kernel-tanh"][0]] * 2,  # values and slopes
}


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setattr(timing.paired, "__defaults__", (1e-4, *timing.paired.__defaults__[1:]))
    monkeypatch.setattr(timing, "PROBE_S", 1e-4)
    monkeypatch.setattr(sampling, "LAW_TRIALS", 400)


class Bptt:
    """A library of our own that back-propagates through time; `wrong` spoils one of its gradients."""

    def __init__(self, start, x, y, size, wrong=None):
        self.start, self.x, self.y, self.wrong = start, np.float64(x), np.float64(y), wrong

    def gradient(self):
        W, F, C = (np.float64(a) for a in (self.start.W, self.start.F, self.start.C))
        (count, horizon, _), n = self.x.shape, W.shape[0]
        h = np.zeros((horizon + 1, count, n))
        for t in range(horizon):
            h[t + 1] = h[t] @ W.T / n**0.5 + self.x[:, t] @ F.T
        error = np.swapaxes(h[1:], 0, 1) @ C.T / n**0.5 - self.y
        loss, back, delta = np.mean(error**2), 2.0 / self.y.size * error, np.zeros((count, n))
        slopes = [np.zeros_like(W), np.zeros_like(F), np.zeros_like(C)]
        for t in reversed(range(horizon)):
            delta = (back[:, t] @ C + delta @ W) / n**0.5
            slopes[0] += delta.T @ h[t] / n**0.5
            slopes[1] += delta.T @ self.x[:, t]
            slopes[2] += back[:, t].T @ h[t + 1] / n**0.5
        out = [loss, *slopes]
        if self.wrong is not None:
            out[self.wrong] = 1.001 * out[self.wrong]
        return tuple(out)

    def step(self):
        return self.gradient()


def spoilt(wrong):
    return Library("ours by hand", "numpy", lambda *problem: Bptt(*problem, wrong=wrong))


ABSENT = Library("Nobody", "no_such_library_anywhere", Bptt)


def outcomes(benchmark, monkeypatch):
    if benchmark.measure is training.steps:
        return list(training.steps(benchmark.name, TOY[benchmark.name], 2, (spoilt(None), ABSENT)))
    if benchmark.measure is training.in_law:
        return list(training.in_law(benchmark.name, TOY[benchmark.name], 2, length=5))
    if benchmark.measure is gates.gated:
        return list(gates.gated(benchmark.name, TOY[benchmark.name], 2, points=16))
    if benchmark.name == "training-subspace":
        return list(training.subspace(benchmark.name, TOY[benchmark.name], 2, length=5))
    if benchmark.name in ("kernel-net", "kernel-net-threads"):
        return list(benchmark.measure(benchmark.name, TOY[benchmark.name], 2, [by_hand()]))
    if benchmark.name == "kernel-net-tanh":
        return list(kernels.feed_forward_tanh(benchmark.name, TOY[benchmark.name], 2, by_hand()))
    if benchmark.name == "kernel-scan":
        return list(kernels.scanned(benchmark.name, TOY[benchmark.name], 2, step_by_step()))
    if benchmark.name == "kernel-smooth-coupled":
        monkeypatch.setattr(kernels, "INPUTS", (1.0,))  # all of them in "kernel-smooth"
    return list(benchmark.measure(benchmark.name, TOY[benchmark.name], 2))


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda b: b.name)
def test_every_benchmark_runs_at_toy_sizes_without_a_rival_library(benchmark, monkeypatch):
    found = outcomes(benchmark, monkeypatch)
    rows = [outcome for outcome in found if isinstance(outcome, Row)]
    for made, case in zip(rows, PROBLEMS.get(benchmark.name, TOY[benchmark.name]), strict=True):
        assert (made.name, made.n, made.T, made.N, made.dtype) == (benchmark.name, case.n, case.T, case.N, case.dtype)
        assert 0 < made.ratio_low <= made.ratio <= made.ratio_high < float("inf")
        assert min(made.ours_s, made.rival_s, made.floor.seconds) > 0
        assert made.agreement
    result = BenchResult(tuple(rows), (), machine.describe(), "2000-01-01")
    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert all({*FIELDS, "fraction"} <= set(fields) for fields in read["rows"])
    assert tuple(runner.revive(fields) for fields in read["rows"]) == result.rows


def test_the_registry_names_every_benchmark_once_and_its_quick_problems_are_among_the_others():
    assert sorted(TOY) == sorted(benchmark.name for benchmark in BENCHMARKS)
    for benchmark in BENCHMARKS:
        assert set(benchmark.quick) <= set(benchmark.cases)


def test_a_missing_rival_is_a_note():
    (note,) = training.steps("training", TOY["training"], 2, (ABSENT,))
    assert isinstance(note, Note)
    assert "Nobody left out" in note.text
    assert "wideproof[bench]" in note.text


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
@pytest.mark.parametrize("case", TOY["training"] + TOY["training-many"])
def test_a_rival_that_is_installed_computes_our_gradient(library, case):
    if library.missing() is not None:
        pytest.skip(library.missing())
    assert training.against("training", case, library, 1).ratio > 0


@pytest.mark.parametrize("wrong", range(4))
def test_a_trainer_wrong_by_a_thousandth_is_caught(wrong):
    case = TOY["training-many"][0]
    with pytest.raises(DisagreementError) as caught:
        training.against("training", case, spoilt(wrong), 1)
    assert caught.value.got == pytest.approx(1e-3, rel=1e-3)
    assert caught.value.where == "training against ours by hand"


@pytest.mark.parametrize("kernel", [False, True])
def test_a_sampler_wrong_by_a_thousandth_is_caught(kernel):
    class Wrong(DenseSampler):
        def response(self):
            return 1.001 * super().response()

        def kernel(self):
            return 1.001 * super().kernel()

    with pytest.raises(DisagreementError) as caught:
        list(sampling.monte_carlo("monte-carlo", [Case(20, T=4, trials=50)], 1, kernel, Wrong))
    assert caught.value.got == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("kernel", [False, True])
def test_a_sampler_of_ours_with_another_law_is_caught(kernel, monkeypatch):
    def other(setting, *arguments):
        return draw(replace(setting, nu_C=1.5 * setting.nu_C), *arguments)

    draw = sampling.draw
    monkeypatch.setattr(sampling, "draw", other)
    with pytest.raises(DisagreementError, match="law of our trials"):
        sampling.agree(Case(20, T=4, trials=50), kernel)


def by_hand(factor=1.0):
    """A library of our own in NumPy, its kernel times a factor."""

    def made(activation, X, nu, depth):
        def kernel():
            c = nu["nu_F"] * X @ X.T + nu["nu_b"]
            tangent = c
            for weight, bias in [(nu["nu_W"], nu["nu_b"])] * (depth - 1) + [(nu["nu_C"], nu["nu_c"])]:
                e, d = means(activation, c)
                c = weight * e + bias
                tangent = c + weight * d * tangent
            return factor * tangent

        return kernel

    return Net("ours by hand", "numpy", made, "")


def step_by_step(factor=1.0):
    """The same of an Elman network after its last step, derivatives by the entries."""

    def made(activation, X, nu, depth):
        def kernel():
            e = d = tangent = np.zeros((len(X), len(X)))
            for t in range(depth):
                products = X[:, t] @ X[:, t].T
                tangent = products + 1.0 + e + nu["nu_W"] * d * tangent
                e, d = means(activation, nu["nu_F"] * products + nu["nu_b"] + nu["nu_W"] * e)
            return factor * (e + nu["nu_C"] * d * tangent)

        return kernel

    return Net("ours by hand", "numpy", made, "")


def means(activation, c):
    """E[phi phi] and E[phi' phi'] between all variables of a covariance."""
    a = np.diag(c)
    if activation in ("gelu", "tanh"):
        return (np.array([[gaussian_mean(activation, activation, (x, y), z, orders=(k, k))[0]
                           for y, z in zip(a, row, strict=True)] for x, row in zip(a, c, strict=True)])
                for k in (0, 1))  # fmt: skip
    if activation == "erf":
        sides = np.outer(1 + 2 * a, 1 + 2 * a)
        return 2 / np.pi * np.arcsin(2 * c / sides**0.5), 4 / np.pi / np.sqrt(sides - 4 * c * c)
    norm = np.sqrt(np.outer(a, a))
    angle = np.arccos(np.clip(c / norm, -1, 1))
    value = norm / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    return value, (np.pi - angle) / (2 * np.pi)


def test_a_scan_in_jax_computes_our_kernel():
    if SCAN.missing() is not None:
        pytest.skip(SCAN.missing())
    assert len(list(kernels.scanned("kernel-scan", TOY["kernel-scan"], 1))) == 3


@pytest.mark.parametrize("library", NETS, ids=lambda library: library.name)
def test_a_kernel_library_that_is_installed_computes_our_kernel(library):
    if library.missing() is not None:
        pytest.skip(library.missing())
    rows = list(kernels.feed_forward("kernel-net", TOY["kernel-net"], 1, [library]))
    assert [row.rival for row in rows] == [f"{library.name}, {name}" for name in ("relu", "erf", "gelu")]


def test_kernels_wrong_by_a_thousandth_are_caught(monkeypatch):
    with pytest.raises(DisagreementError) as caught:
        list(kernels.feed_forward("kernel-net", TOY["kernel-net"], 1, [by_hand(1.001)]))
    assert caught.value.got == pytest.approx(1e-3, rel=0.5)
    with pytest.raises(DisagreementError, match="Elman relu"):
        list(kernels.scanned("kernel-scan", TOY["kernel-scan"], 1, step_by_step(1.001)))
    monkeypatch.setattr(kernels, "ErfRecursion", lambda *a: Scaled(ErfRecursion(*a)))
    with pytest.raises(DisagreementError, match="all pairs of times"):
        list(kernels.last_step("kernel-last", TOY["kernel-last"], 1))
    with pytest.raises(DisagreementError, match="all pairs of times"):
        list(kernels.all_times("kernel-all", TOY["kernel-all"], 1))
    monkeypatch.setattr(kernels, "hermite", lambda *a: 1.001 * hermite(*a))
    with pytest.raises(DisagreementError, match="tanh"):
        list(kernels.tanh_dual("kernel-tanh", TOY["kernel-tanh"], 1))


class Scaled:
    """Another's kernel, wrong by a thousandth."""

    def __init__(self, other):
        self.kernel = lambda: 1.001 * other.kernel()


def test_a_subspace_that_follows_another_curve_is_caught(monkeypatch):
    steps = training.losses
    monkeypatch.setattr(training, "losses", lambda d, *a: steps(d, *a) * (1.001 if hasattr(d, "again") else 1))
    with pytest.raises(DisagreementError, match="training-subspace"):
        list(training.subspace("training-subspace", TOY["training-subspace"], 1, length=5))


def test_training_in_law_that_does_not_learn_is_caught():
    with pytest.raises(DisagreementError):
        training.alike(np.array([1.0, 1.0]), np.array([1.0, 0.5]))


def test_the_ratio_is_the_rivals_time_over_ours_whoever_goes_first():
    now = [0.0]

    def takes(cost):
        def work():
            now[0] += cost

        return work

    found = timing.paired(takes(0.01), takes(0.07), 6, shortest=0.1, clock=lambda: now[0])
    assert found.ratio == pytest.approx(7.0)
    assert (found.low, found.high) == (pytest.approx(7.0), pytest.approx(7.0))
    assert (found.ours_s, found.rival_s) == (pytest.approx(0.01), pytest.approx(0.07))


def test_the_floor_grows_with_every_part_of_the_work():
    base = machine.floor(1e9, 1e6, 1e3, 2.0**15).seconds
    assert machine.floor(2e9, 1e6, 1e3, 2.0**15).seconds > base
    assert machine.floor(1e9, 1e13, 1e3, 2.0**15).seconds > base
    assert machine.floor(1e9, 1e6, 1e9, 2.0**15).seconds > base


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError) as caught:
        bench("speed")
    assert all(benchmark.name in caught.value.expected for benchmark in BENCHMARKS)


def test_names_select_in_the_order_of_the_registry():
    assert [b.name for b in runner.select(["width", "training"])] == ["training", "width"]
    assert runner.select(None) == BENCHMARKS
    assert [b.name for b in runner.select("width")] == ["width"]


def test_bench_runs_in_a_process_of_one_thread_and_reports_progress():
    told = []
    result = bench("width", progress=lambda done, total: told.append((done, total)), quick=True)
    assert [row.n for row in result.rows] == [10**3, 10**12]
    assert told == [(0, 1), (1, 1)]
    assert result.machine["threads"] == 1
    assert result.machine["cores"] >= 1
    assert result.date[:2] == "20"


def test_a_disagreement_in_the_other_process_is_told_in_full(monkeypatch, capsys):
    def differ(*_):
        raise DisagreementError("here", "equality", 0.5, "Look again.")

    one = replace(BENCHMARKS[0], measure=differ)
    monkeypatch.setattr(runner, "BENCHMARKS", (one,))
    assert runner.main([one.name, "--quick"]) == runner.FAILED
    assert json.loads(capsys.readouterr().out)["error"] == ["here", "equality", "0.5", "Look again."]


def test_the_committed_page_shows_the_committed_results():
    folder = Path(__file__).parents[3] / "docs" / "benchmarks"
    results = sorted(folder.glob("results-*.json"))[-1]
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert results.name in page
    read = json.loads(results.read_text(encoding="utf-8"))
    lines = [line.split(" | ") for line in page.splitlines()]
    shown = [(cells[0].strip("| "), cells[7]) for cells in lines if len(cells) == 11 and "**" in cells[7]]
    for (name, ratio), fields in zip(shown, read["rows"], strict=True):
        assert name == fields["name"]
        assert float(ratio.split("**")[1]) == pytest.approx(fields["ratio"], rel=6e-3)
