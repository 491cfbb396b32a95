"""The vendored recordings are what their notice says, and a user's file is read or refused by name."""

import pickle
from importlib.resources import files

import numpy as np
import pytest
from scipy.io import savemat

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.recordings import RECORDINGS, Recording, load_recording

FOLDER = files("wideproof.numeric.recordings")


def table(samples=200, seed=0):
    return np.random.default_rng(seed).standard_normal((samples, 4))


def write_csv(path, values, header="u,v,w,y"):
    np.savetxt(path, values, delimiter=",", header=header, comments="", fmt="%.17g")
    return path


def test_fmri_has_96_events_of_each_type_one_at_a_time():
    rec = load_recording("er-fmri")
    assert rec.inputs.shape == (3360, 6)
    assert rec.outputs.shape == (3360, 1)
    assert np.array_equal(rec.inputs.sum(axis=0), np.full(6, 96))
    assert rec.inputs.sum(axis=1).max() == 1
    assert rec.rate == 0.5


def test_daphnet_is_decimated_without_aliases_or_delay():
    rec = load_recording("daphnet")
    with np.load(str(FOLDER / "daphnet_s06r02.npz"), allow_pickle=False) as data:
        raw, marks = data["acc_mg"] / 1000.0, data["is_anomaly"]
    assert not marks.any()
    assert rec.inputs.shape == (3520, 6)
    assert rec.outputs.shape == (3520, 3)
    both = np.hstack([rec.inputs, rec.outputs])
    assert both.mean(axis=0) == pytest.approx(raw.mean(axis=0), abs=2e-3)  # gravity stays
    spectrum = np.fft.rfft(raw[:, 0])
    low = np.fft.irfft(np.where(np.arange(3521) < 1600, spectrum, 0), 7040)[::2]
    naive = raw[::2, 0]
    assert np.std(both[:, 0] - low) < 0.5 * np.std(naive - low)  # an ideal low-pass, not plain slicing
    lags = [np.corrcoef(low[5:-5], np.roll(both[:, 0], k)[5:-5])[0, 1] for k in range(-3, 4)]
    assert int(np.argmax(lags)) == 3


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recording_travels_with_its_notice(name):
    rec = load_recording(name)
    notice = (FOLDER / rec.licence[rec.licence.index("LICENSE") : -1]).read_text()
    assert "Redistribution and use in source and binary forms" in notice
    assert rec.citation
    assert rec.description


def test_csv_and_npz_give_the_same_recording(tmp_path):
    values = table()
    one = load_recording(write_csv(tmp_path / "a.csv", values), outputs=["y"], rate=10.0)
    assert one.input_names == ("u", "v", "w")
    assert np.array_equal(one.inputs, values[:, :3])
    np.savez(tmp_path / "a.npz", inputs=values[:, :3], outputs=values[:, 3])
    two = load_recording(tmp_path / "a.npz")
    assert np.array_equal(two.inputs, one.inputs)
    assert np.array_equal(two.outputs, one.outputs)
    three = load_recording(tmp_path / "a.npz", inputs=["inputs[2]", "inputs[0]"], outputs=["outputs"])
    assert np.array_equal(three.inputs, values[:, [2, 0]])
    write_csv(tmp_path / "b.csv", values, "u,time,w,y")
    assert load_recording(tmp_path / "b.csv", inputs=["w"], outputs=["y"]).input_names == ("w",)


def refused(tmp_path, values, **names):
    with pytest.raises(ParameterError) as caught:
        load_recording(write_csv(tmp_path / "a.csv", values), **(names or {"outputs": ["y"]}))
    return caught.value


def test_nan_constant_short_and_missing_are_refused_by_name(tmp_path):
    values = table()
    values[17, 1] = np.nan
    error = refused(tmp_path, values)
    assert "'v'" in error.expected
    assert error.got == "nan at row 17 (1 in all)"
    assert load_recording(tmp_path / "a.csv", inputs=["u"], outputs=["y"]).input_names == ("u",)
    values[:, 1] = 3.0
    assert refused(tmp_path, values).got == "the constant 3"
    assert refused(tmp_path, table(50)).got == 50
    assert refused(tmp_path, table(), outputs=["z"]).got == "no column z"
    assert refused(tmp_path, table(), inputs=["y", "u"], outputs=["y"]).got == ["y"]
    assert refused(tmp_path, table(), inputs=["u", "u"], outputs=["y"]).got == ("u", "u")
    assert refused(tmp_path, table(), inputs=["u"]).expected == "the names of the output columns"


def test_ragged_rows_and_words_are_refused(tmp_path):
    lines = write_csv(tmp_path / "a.csv", table()).read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*lines[:4], "1,2", *lines[4:]]))
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.csv", outputs=["y"])
    assert caught.value.expected == "4 cells in row 3"
    (tmp_path / "a.csv").write_text("\n".join([*lines[:4], "1,n/a,2,3", *lines[4:]]))
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.csv", outputs=["y"])
    assert caught.value.expected == "numbers in column 'v'"
    assert caught.value.got == "'n/a' at row 3"
    assert load_recording(tmp_path / "a.csv", inputs=["u"], outputs=["y"]).input_names == ("u",)
    (tmp_path / "a.csv").write_text("\n".join([*lines[:4], "1,,2,3", *lines[4:]]))
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.csv", outputs=["y"])
    assert caught.value.got == "nan at row 3 (1 in all)"  # an empty cell is a missing sample
    for text, got in (("u, u\n1,2\n", "'u' more than once"), ("", "an empty file")):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(ParameterError) as caught:
            load_recording(tmp_path / "a.csv", outputs=["u"])
        assert caught.value.got == got


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_a_column_whose_variance_is_no_double_is_refused(tmp_path, unit):
    assert "squared" in refused(tmp_path, unit * table()).expected


def test_the_variables_of_a_matlab_file_are_told_where_none_is_named(tmp_path):
    savemat(tmp_path / "a.mat", {"rates": table(), "hand": table()})
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.mat")
    assert caught.value.hint == "The file has: rates, hand."


class Hostile:
    ran = False

    def __reduce__(self):
        return setattr, (Hostile, "ran", True)


def test_pickles_are_never_run(tmp_path):
    np.savez(tmp_path / "a.npz", outputs=np.arange(200.0), inputs=np.array([Hostile()], dtype=object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "c.pickle").write_bytes(pickle.dumps(Hostile()))
    (tmp_path / "d.npz").write_bytes(b"PK\x03\x04 not a zip")
    np.save(tmp_path / "e.npy", np.arange(200.0))
    (tmp_path / "e.npy").rename(tmp_path / "e.npz")
    for name in ("a.npz", "b.npz", "c.pickle", "d.npz", "e.npz"):
        with pytest.raises(ParameterError):
            load_recording(tmp_path / name, outputs=["outputs"], allow_pickle=True)
    assert not Hostile.ran
    pickle.loads(pickle.dumps(Hostile()))  # the negative control: a real unpickler runs it
    assert Hostile.ran


def test_unknown_names_list_the_known_ones(tmp_path):
    with pytest.raises(ParameterError) as caught:
        load_recording("s1")
    assert caught.value.expected == "a file, or one of er-fmri, daphnet"
    with pytest.raises(ParameterError):
        load_recording("er-fmri", rate=3.0)
    np.savez(tmp_path / "a.npz", inputs=np.arange(200.0), outputs=np.arange(150.0))
    with pytest.raises(ShapeError):
        load_recording(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", inputs=np.zeros((2, 2, 2)), outputs=np.arange(150.0))
    with pytest.raises(ParameterError):
        load_recording(tmp_path / "a.npz")
    with pytest.raises(ShapeError):
        Recording("x", table(), table(), ("a",), ("b",), None, "", "", "")


@pytest.mark.parametrize(
    ("name", "content", "expected", "got"),
    [
        ("latin.csv", b"a,b,\xe9\n1,2,3\n", "UTF-8", "not UTF-8"),
        ("semicolons.csv", b"a;b;c\n1;2;3\n", "commas", "semicolons"),
        ("tabs.csv", b"a\tb\tc\n1\t2\t3\n", "commas", "tabs"),
        ("commas.tsv", b"a,b,c\n1,2,3\n", "tabs", "commas"),
        ("empty.csv", b"", "a header row", "an empty file"),
        ("huge.csv", b"a,b,c\n" + b"1" * 140_000 + b",2,3\n", "UTF-8", "field larger"),
    ],
)
def test_a_table_of_another_form_says_what_it_has(name, content, expected, got, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ParameterError) as caught:
        load_recording(path, inputs=["a"], outputs=["c"])
    assert expected in caught.value.expected
    assert got in str(caught.value.got)


def test_a_missing_variable_names_those_of_the_file_and_a_folder_is_called_one(tmp_path):
    values = {"p": np.arange(200.0), "q": np.arange(200.0) ** 2}
    savemat(tmp_path / "other.mat", values)
    np.savez(tmp_path / "other.npz", **values)
    for name in ("other.mat", "other.npz"):
        with pytest.raises(ParameterError, match="p, q"):
            load_recording(tmp_path / name, inputs=["p"], outputs=["c"])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ParameterError, match="a folder"):
        load_recording(tmp_path / "folder.csv", inputs=["a"], outputs=["c"])
