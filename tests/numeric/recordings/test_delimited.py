"""Tables as people have them: what is a header, what stands between columns, and what is no number."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import load_recording
from wideproof.numeric.recordings.delimited import read_delimited
from wideproof.numeric.recordings.tables import read_table

VALUES = np.random.default_rng(3).standard_normal((200, 3))


def text(mark, end="\n", last="", header=""):
    rows = [mark.join(f"{x:.17g}" for x in row) + last for row in VALUES]
    return end.join([header + last, *rows] if header else rows) + end


DAISY = {
    "blanks": ("a.dat", text("  ")),
    "blanks in front": ("a.dat", "".join(f"   {row}\n" for row in text(" ").splitlines())),
    "tabs, CRLF, a tab at the end": ("a.dat", text("\t", "\r\n", "\t")),
    "txt": ("a.txt", text("\t ")),
    "comments": ("a.dat", "% exchanger\n# flow, temperature\n" + text(" ")),
    "tsv": ("a.tsv", text("\t", "\r\n", "\t")),
    "csv": ("a.csv", text(", ")),
    "old ends of lines": ("a.csv", text(",", "\r")),
    "byte order mark": ("a.csv", "\ufeff" + text(",")),
    "blank lines": ("a.dat", "\n\n" + text(" ") + "  \n\n"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", DAISY)
def test_a_table_without_header_goes_by_number(kind, packed, tmp_path):
    name, table = DAISY[kind]
    data = table.encode()
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    rec = load_recording(path, inputs=["1", "2"], outputs=[3], rate=2.0)
    assert np.array_equal(rec.inputs, VALUES[:, :2])
    assert np.array_equal(rec.outputs[:, 0], VALUES[:, 2])
    assert rec.input_names == ("1", "2")
    told = f"{path.name}: 200 samples; 2 inputs 1, 2; 1 output 3; 2 samples a second"
    assert rec.understood == f"{told}; the user's own file: 3 columns, without a header row"


def test_names_are_given_to_a_table_and_replace_its_header(tmp_path):
    (tmp_path / "a.dat").write_text(text(" "))
    rec = load_recording(tmp_path / "a.dat", columns=["q", "flow", "temperature"], outputs="temperature")
    assert rec.input_names == ("q", "flow")
    assert rec.samples == 200
    (tmp_path / "a.tsv").write_text(text("\t", header="a\tb\tc"))
    rec = load_recording(tmp_path / "a.tsv", columns=["q", "flow", "temperature"], outputs=["temperature"])
    assert rec.samples == 200
    assert np.array_equal(rec.outputs[:, 0], VALUES[:, 2])
    assert "with a header row" in rec.understood
    assert "rate of sampling not given" in rec.understood
    with pytest.raises(ParameterError, match="3 names, one for each column"):
        load_recording(tmp_path / "a.tsv", columns=["q", "flow"], outputs=["flow"])
    with pytest.raises(ParameterError, match="more than once"):
        load_recording(tmp_path / "a.tsv", columns=["q", "q", "y"], outputs=["y"])


def test_a_header_stays_one_and_its_columns_also_go_by_number(tmp_path):
    (tmp_path / "a.csv").write_text(text(",", header="u,v,y"))
    rec = load_recording(tmp_path / "a.csv", inputs=[2], outputs=["3"])
    assert (rec.input_names, rec.output_names) == (("v",), ("y",))
    (tmp_path / "b.csv").write_text(text(",", header="t,2,1").replace("2,1", "w2,1x", 1))
    assert load_recording(tmp_path / "b.csv", inputs=["w2"], outputs=["1x"]).samples == 200


@pytest.mark.parametrize("first", ["u,v,1", "NA,1,2", ",0,1", "nan,x,2"])
def test_a_first_row_of_words_and_numbers_is_neither(first, tmp_path):
    """A mutant that takes it for names loses a sample, one that takes it for a sample invents one."""
    (tmp_path / "a.csv").write_text(f"{first}\n{text(',')}")
    with pytest.raises(ParameterError, match="a first row of names, or of numbers") as caught:
        load_recording(tmp_path / "a.csv", inputs=["1"], outputs=["2"])
    assert "--columns" in caught.value.hint


def test_names_given_make_a_row_of_both_a_sample(tmp_path):
    (tmp_path / "a.csv").write_text(f"NA,1,2\n{text(',')}")
    rec = load_recording(tmp_path / "a.csv", columns=["a", "b", "c"], inputs=["b"], outputs=["c"])
    assert rec.samples == 201
    with pytest.raises(ParameterError, match="'NA' at row 0"):
        load_recording(tmp_path / "a.csv", columns=["a", "b", "c"], inputs=["a"], outputs=["c"])


@pytest.mark.parametrize("cell", ["1_000", "١٢", "０", "1,5", "0x10", "1e", "12ᵉ3", "1 2", "--1", "1" * 900])
def test_what_float_would_take_and_no_table_means_is_no_number(cell, tmp_path):
    quoted = f'"{cell}"'
    (tmp_path / "a.csv").write_text(f"u,y\n{quoted},2\n" + "1,2\n" * 200)
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.csv", inputs=["u"], outputs=["y"])
    assert caught.value.expected == "numbers in column 'u'"
    assert "at row 0" in caught.value.got


@pytest.mark.parametrize(
    ("name", "line", "mark"),
    [("a.dat", "1,5 2,7", "commas"), ("a.dat", "1;2", "semicolons"), ("a.csv", "1 2 3", "blanks"),
     ("a.csv", "1,5;2,7", ""), ("a.tsv", "1 2", "blanks"), ("a.txt", "1|2", "bars")],
)  # fmt: skip
def test_a_number_is_never_read_from_half_a_cell(name, line, mark, tmp_path):
    (tmp_path / name).write_text(f"{line}\n" * 200)
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / name, inputs=[1], outputs=[2])
    assert mark in caught.value.got


HOSTILE = {
    "a million columns": (",".join(["a"] * 10**6) + "\n", "rows of at most"),
    "a million numbers": (",".join(["1"] * 10**5) + "\n", "at most 10,000 columns"),
    "a line without end": ("1 " * 10**6 + "\n", "rows of at most"),
    "a quote without end": ('a,"b\n' + "1,2\n" * 400_000, ""),
    "a row over many lines": ('"\n",' * 600_000, "rows of at most"),
    "a bracket": ("a],b\n" + "1,2\n3,1\n" * 100, ""),
    "two brackets": ("a[0],a[1],a]b[\n" + "1,2,3\n3,1,4\n" * 100, ""),
    "a long name": ("a" * 1000 + ",b\n1,2\n", "names of at most"),
    "nul bytes": ("a\0,b\n1,2\n", ""),
    "only blanks": ("  \n\n", "a header row"),
    "separators": ("u,y\n1\x1c,2\n" * 2, ""),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_table_is_read_or_refused_soon(kind, tmp_path):
    table, expected = HOSTILE[kind]
    (tmp_path / "a.csv").write_text(table)
    start = time.process_time()
    if kind in ("a bracket", "two brackets"):
        assert load_recording(tmp_path / "a.csv", outputs=["a]" if kind == "a bracket" else "a[1]"]).samples == 200
    else:
        with pytest.raises(ParameterError) as caught:
            load_recording(tmp_path / "a.csv", outputs=["b"])
        assert expected in caught.value.expected
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 2000
    assert time.process_time() - start < 3


def test_names_of_a_file_are_shown_and_never_obeyed(tmp_path):
    name = "\x1b[31mred\u202e.csv"
    (tmp_path / name).write_text("\x1b]0;u\x07,y\n" + "1,2\n2,1\n" * 100)
    rec = load_recording(tmp_path / name, outputs=["y"])
    assert rec.input_names == ("\\x1b]0;u\\x07",)
    assert rec.understood.isprintable()
    assert load_recording(tmp_path / name, inputs=["\x1b]0;u\x07"], outputs=["y"]).samples == 200


def test_cells_are_eight_bytes_each(tmp_path):
    (tmp_path / "a.csv").write_text("x,u\nword,1\n,2\n")
    found = read_delimited(tmp_path / "a.csv", None)
    assert found.words == {"x": (0, "word")}
    assert found.values["u"].tolist() == [1.0, 2.0]
    assert np.isnan(found.values["x"]).all()


def test_a_whole_table_is_its_columns_or_refused_for_a_word(tmp_path):
    (tmp_path / "a.csv").write_text("x,u\n3,1\n4,2\n")
    assert {name: column.tolist() for name, column in read_table(tmp_path / "a.csv").items()} == {
        "x": [3, 4],
        "u": [1, 2],
    }
    (tmp_path / "a.csv").write_text("x,u\n3,1\nword,2\n")
    with pytest.raises(ParameterError, match="'word' at row 1"):
        read_table(tmp_path / "a.csv")
