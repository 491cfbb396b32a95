"""The paper's S1 recording from a user's file: the published bins, the published facts, and pickles that cannot act."""

from __future__ import annotations

import itertools
import pickle
import struct

import numpy as np
import pytest
from scipy.io import savemat

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import load_recording, s1
from wideproof.numeric.recordings.binning import bin_edges, count_spikes, mean_per_bin
from wideproof.numeric.recordings.matlab import MatFile
from wideproof.numeric.recordings.unpickle import read_arrays

SECONDS = 20.0


def session(neurons=4, seed=0):
    rng = np.random.default_rng(seed)
    spikes = [np.sort(rng.uniform(-0.5, SECONDS + 0.5, 400 + 50 * k)) for k in range(neurons)]
    times = 0.003 + np.arange(int(SECONDS * 100)) / 100.0
    return spikes, rng.standard_normal((len(times), 2)), times


def published_bins(spikes, vels, times, dt=0.05):
    """The published protocol, as its authors state it: one loop per bin."""
    edges = np.arange(times[0], times[-1], dt)
    counts = np.stack([np.histogram(train, edges)[0] for train in spikes], axis=1)
    mean = [vels[(times > low) & (times < high)].mean(axis=0) for low, high in itertools.pairwise(edges)]
    return counts, np.array(mean)


def write_mat(path, spikes, vels, times, **more):
    cell = np.empty((len(spikes), 1), dtype=object)
    for k, train in enumerate(spikes):
        cell[k, 0] = train[:, None]
    savemat(path, {"spike_times": cell, "vels": vels, "vel_times": times[:, None], **more})
    return path


def write_npz(path, spikes, vels, times):
    owner = np.repeat(np.arange(len(spikes)), [len(train) for train in spikes])
    np.savez(path, spike_times=np.concatenate(spikes), spike_units=owner, vels=vels, vel_times=times)
    return path


def write_pickle(path, spikes, vels, times):
    path.write_bytes(pickle.dumps({"spike_times": spikes, "vels": vels, "vel_times": times}, 2))
    return path


@pytest.mark.parametrize(("write", "name"), [(write_mat, "a.mat"), (write_npz, "a.npz"), (write_pickle, "a.pickle")])
def test_every_kind_of_file_is_binned_as_published(tmp_path, write, name):
    data = session()
    rec = load_recording(write(tmp_path / name, *data), allow_pickle=name == "a.pickle")
    counts, mean = published_bins(*data)
    assert np.array_equal(rec.inputs, counts)
    assert np.allclose(rec.outputs, mean, rtol=0, atol=1e-12)
    assert (rec.rate, rec.output_names) == (20.0, ("x velocity", "y velocity"))


def test_a_sample_on_an_edge_belongs_to_no_bin():
    """The mutant closes the bins on the left, and moves every mean."""
    times, edges = np.arange(40) / 8.0, np.arange(0.0, 4.75, 0.5)
    values = np.random.default_rng(0).standard_normal((40, 1))
    got = mean_per_bin(values, times, edges)
    assert np.allclose(got, values[1:37].reshape(9, 4)[:, :3].mean(1)[:, None])
    left = mean_per_bin(values, times + 1e-9, edges)
    assert np.min(np.abs(left - got)) > 1e-6


def test_spikes_outside_the_bins_are_not_counted():
    edges = bin_edges(0.0, 1.04, 0.25)
    counts = count_spikes([np.array([-0.1, 0.0, 0.24, 0.25, 1.0, 1.01])], edges)
    assert counts[:, 0].tolist() == [2.0, 1.0, 0.0, 1.0]
    with pytest.raises(ParameterError):
        bin_edges(1.0, 1.0, 0.05)
    with pytest.raises(ParameterError) as caught:
        mean_per_bin(np.ones((3, 1)), np.array([0.1, 0.3, 0.9]), edges)
    assert caught.value.got == "none from 0.5 to 0.75 s"


def test_another_file_is_told_apart_from_the_published_one(tmp_path, monkeypatch):
    data = session()
    path = write_mat(tmp_path / "a.mat", *data)
    other = load_recording(path)
    assert "NOT the published S1 recording" in other.description
    assert "neurons 4 (published: 52)" in other.description
    facts = {fact.name: fact for fact in other.facts}
    assert facts["velocity samples per second"].agrees
    assert not facts["shape of the spike counts"].agrees
    for name, value in (("NEURONS", 4), ("SPIKES", sum(map(len, data[0]))), ("DURATION", 19.99), ("BINS", 399)):
        monkeypatch.setattr(s1, name, value)
    same = load_recording(path)
    assert all(fact.agrees for fact in same.facts)
    assert "agrees with all published facts" in same.description
    monkeypatch.setattr(s1, "SPIKES", s1.SPIKES + 1)  # one spike too few is told
    assert [fact.name for fact in load_recording(path).facts if not fact.agrees] == ["spikes"]


def test_the_published_facts_fit_together():
    assert len(bin_edges(0.0, s1.DURATION, s1.BIN)) - 1 == s1.BINS


def test_the_published_pickle_is_the_pair_of_binned_arrays(tmp_path):
    counts, mean = published_bins(*session())
    (tmp_path / "s1.pickle").write_bytes(pickle.dumps([counts.astype(float), mean], 2))
    rec = load_recording(tmp_path / "s1.pickle", allow_pickle=True)
    assert np.array_equal(rec.inputs, counts)
    assert np.array_equal(rec.outputs, mean)
    assert not rec.facts[0].agrees


def test_only_the_named_variables_of_a_mat_file_are_read(tmp_path, monkeypatch):
    asked = []
    original = MatFile.load

    def spy(self, name):
        asked.append(name)
        return original(self, name)

    monkeypatch.setattr(MatFile, "load", spy)
    rng = np.random.default_rng(1)
    values = {"u": rng.standard_normal((200, 2)), "y": rng.standard_normal(200), "huge": np.ones(9)}
    savemat(tmp_path / "b.mat", values | {"y": values["y"][:, None]})
    rec = load_recording(tmp_path / "b.mat", inputs=["u"], outputs=["y"])
    assert rec.inputs.shape == (200, 2)
    assert np.array_equal(rec.outputs[:, 0], values["y"])
    assert sorted(asked) == ["u", "y"]
    with pytest.raises(ParameterError):
        load_recording(tmp_path / "b.mat")
    assert "huge" not in asked
    (tmp_path / "c.mat").write_bytes(b"not matlab")
    with pytest.raises(ParameterError):
        load_recording(tmp_path / "c.mat")
    (tmp_path / "d.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 400)
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "d.mat")
    assert "v7" in caught.value.hint


@pytest.mark.parametrize("broken", ["times", "spikes", "vels", "units"])
def test_variables_of_another_form_are_refused(tmp_path, broken):
    spikes, vels, times = session()
    if broken == "times":
        times = times[::-1]
    if broken == "spikes":
        spikes[1][3] = np.nan
    if broken == "vels":
        vels = vels[:, 0]
    write_pickle(tmp_path / "a.pickle", spikes, vels, times)
    if broken == "units":
        np.savez(tmp_path / "a.npz", spike_times=spikes[0], spike_units=np.zeros(3), vels=vels, vel_times=times)
    with pytest.raises(ParameterError):
        load_recording(tmp_path / ("a.npz" if broken == "units" else "a.pickle"), allow_pickle=True)


ARRAYS = (
    np.arange(6.0).reshape(2, 3),
    np.arange(6.0).reshape(2, 3).T,
    np.arange(24, dtype=">i4").reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    np.zeros((0, 2)),
    np.array([True, False]),
    np.arange(5, dtype=np.uint8)[::2],
    np.float32([1.5]),
)


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_load(tmp_path, protocol):
    (tmp_path / "a.pickle").write_bytes(pickle.dumps((list(ARRAYS), {"s": np.float64(3.0), "k": 2}), protocol))
    found, rest = read_arrays(tmp_path / "a.pickle")
    for got, want in zip(found, ARRAYS, strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        assert np.array_equal(got, want)
    assert (float(rest["s"]), float(rest["k"])) == (3.0, 2.0)


def python2_pickle(array):
    """What Python 2 wrote, protocol 2: names of the old modules, and bytes as text."""
    raw = array.tobytes()
    shape = b"".join(b"K" + bytes([size]) for size in array.shape)
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
        b"(K\x01" + shape + b"\x86cnumpy\ndtype\nq\x08U\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", len(raw)) + raw + b"tb."
    )


def test_pickles_of_python_2_load(tmp_path):
    array = np.random.default_rng(0).standard_normal((3, 4))
    assert np.array_equal(pickle.loads(python2_pickle(array), encoding="latin1"), array)
    (tmp_path / "a.pickle").write_bytes(python2_pickle(array))
    assert np.array_equal(read_arrays(tmp_path / "a.pickle"), array)


class Hostile:
    ran = False

    def __reduce__(self):
        return setattr, (Hostile, "ran", True)


def changes_a_name():
    """Pushes numpy's _reconstruct and sets an attribute of it."""
    return b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x08\x00\x00\x00__name__X\x01\x00\x00\x00xsb."


def unfolds():
    """A few hundred bytes that stand for ten to the power of thirty values."""
    inner = [1]
    for _ in range(30):
        inner = [inner] * 10
    return pickle.dumps(inner, 4)


ATTACKS = {
    "object": pickle.dumps(Hostile()),
    "nested": pickle.dumps([np.ones(3), {"x": Hostile()}]),
    "within an object array": pickle.dumps(np.array([Hostile()], dtype=object)),
    "object array": pickle.dumps(np.array([1, "a"], dtype=object)),
    "structured": pickle.dumps(np.zeros(2, dtype=[("a", "f8")])),
    "text": pickle.dumps(np.array(["a"])),
    "os.system": b"cos\nsystem\n(S'true'\ntR.",
    "builtins": b"cbuiltins\neval\n(S'1'\ntR.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
    "changed name": changes_a_name(),
    "more bytes than the shape": python2_pickle(np.ones((2, 2))).replace(b"(K\x01K\x02K\x02", b"(K\x01K\x02K\x09"),
    "pointers": python2_pickle(np.ones((2, 2))).replace(b"U\x02f8", b"U\x02O8"),
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Pname\n.",
    "unfolding": unfolds(),
    "empty": b"",
    "cut": pickle.dumps(np.ones(9))[:-20],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_hostile_pickle_is_run(tmp_path, attack):
    from wideproof.numeric.recordings import unpickle

    Hostile.ran, names = False, dict(unpickle.NAMES)
    (tmp_path / "a.pickle").write_bytes(ATTACKS[attack])
    with pytest.raises(ParameterError):
        read_arrays(tmp_path / "a.pickle")
    with pytest.raises(ParameterError):
        load_recording(tmp_path / "a.pickle", allow_pickle=True)
    assert not Hostile.ran
    assert names == unpickle.NAMES


def test_a_plain_unpickler_would_have_run_it():
    Hostile.ran = False
    pickle.loads(ATTACKS["nested"])
    assert Hostile.ran
