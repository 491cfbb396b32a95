"""Small pickles that made Python's unpickler hang or fill memory end at once, in little memory."""

from __future__ import annotations

import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import unpickle
from wideproof.numeric.recordings.unpickle import read_arrays

HEAD = b"\x80\x02"
DTYPE = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R"


def nested(times=40):
    """A tuple of the same tuple twice, so many times over: of size 2 to that power where it is unfolded."""
    return b")" + b"q\x00h\x00h\x00\x86" * times


def rebuilt(shape, data=b"C\x08" + b"\0" * 8, kind=DTYPE, order=b"\x89"):
    call = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return b"\x80\x03" + call + b"(K\x01" + shape + kind + order + data + b"tb."


FEW_BYTES = {
    "a nested key": HEAD + b"}" + nested() + b"K\x01s.",
    "a nested value": HEAD + nested() + b".",
    "nested lists": HEAD + b"]" + b"q\x00]h\x00ah\x00a" * 40 + b".",
    "a nested dtype": HEAD + b"cnumpy\ndtype\n" + nested() + b"\x85R.",
    "a nested shape": rebuilt(nested()),
    "a nested order": rebuilt(b"K\x01\x85", order=nested()),
    "a nested state": HEAD + DTYPE + nested() + b"b.",
    "a nested byte order": HEAD + DTYPE + b"(K\x03" + nested() + b"tb.",
    "nested axes": HEAD
    + b"cnumpy.core.numeric\n_frombuffer\n(C\x08"
    + b"\0" * 8
    + DTYPE
    + b"K\x01\x85X\x01\x00\x00\x00K"
    + nested()
    + b"tR.",
    "a nested name": HEAD + nested() + b"X\x01\x00\x00\x00a\x93.",
    "a nested encoding": HEAD + b"c_codecs\nencode\nX\x01\x00\x00\x00a" + nested() + b"\x86R.",
    "a memo of gigabytes": HEAD + b"Nr\xff\xff\xff\x7f.",
    "a text of gigabytes": HEAD + b"X\xff\xff\xff\x7fa.",
    "bytes of gigabytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"a.",
    "a bytearray of gigabytes": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"a.",
    "a frame of gigabytes": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "a shape of gigabytes": rebuilt(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
    "a list in itself": HEAD + b"]q\x00h\x00a.",
    "a dictionary in itself": HEAD + b"}q\x00X\x01\x00\x00\x00ah\x00s.",
    "a dtype with objects": rebuilt(b"K\x01\x85", kind=b"cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R"),
    "duplicates": HEAD + b"2" * 100 + b".",
    "marks": HEAD + b"(" * 100 + b".",
    "an instance": b"(ios\nsystem\n.",
    "a set": b"\x80\x04\x8f.",
    "a new object": HEAD + b"cnumpy\ndtype\n)\x81.",
    "a buffer": b"\x80\x05\x97.",
    "no stop": HEAD + b"K\x01",
    "no operation": b"\xff.",
    "an empty stack": b"a.",
    "reduce nothing": HEAD + b"R.",
    "items of a tuple": HEAD + b")K\x01a.",
    "odd items": HEAD + b"}(K\x01u.",
    "a number of no digits": b"Iabc\n.",
    "a float of no digits": b"Fabc\n.",
    "an unknown memo": HEAD + b"h\x07.",
}


@pytest.mark.parametrize("kind", FEW_BYTES)
def test_a_few_bytes_end_at_once(kind, tmp_path):
    data = FEW_BYTES[kind]
    assert len(data) < 600
    refused_soon(data, tmp_path, megabytes=8)


def refused_soon(data, folder, megabytes, seconds=3.0):
    (folder / "a.pickle").write_bytes(data)
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(ParameterError) as caught:
        read_arrays(folder / "a.pickle")
    assert time.process_time() - start < seconds
    assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    tracemalloc.stop()
    assert len(str(caught.value)) < 2000
    return caught.value


MANY_BYTES = {
    "a list of ones": HEAD + b"](" + b"K\x01" * 600_000 + b"e.",
    "operations": HEAD + b"K\x01" * 1_100_000 + b".",
    "a whole number of megabytes": HEAD + b"\x8b" + struct.pack("<i", 2_000_000) + b"\x7f" * 2_000_000 + b".",
    "a decimal of megabytes": b"L" + b"9" * 2_000_000 + b"L\n.",
    "a short number of megabytes": b"I" + b"9" * 2_000_000 + b"\n.",
    "a name of megabytes": b"c" + b"a" * 2_000_000 + b"\nb\n.",
    "a key of megabytes": HEAD + b"}X" + struct.pack("<I", 2_000_000) + b"a" * 2_000_000 + b"K\x01s.",
    "a text of megabytes": HEAD + b"X" + struct.pack("<I", 2_000_000) + b"a" * 2_000_000 + b".",
    "one text as many bytes": HEAD + b"c_codecs\nencode\nq\x00X" + struct.pack("<I", 200_000) + b"a" * 200_000
    + b"X\x06\x00\x00\x00latin1\x86q\x01(" + b"h\x00h\x01R" * 1000 + b"t.",
}  # fmt: skip


@pytest.mark.parametrize("kind", MANY_BYTES)
def test_many_bytes_end_soon_in_memory_of_their_order(kind, tmp_path):
    refused_soon(MANY_BYTES[kind], tmp_path, megabytes=100, seconds=20)


def test_the_messages_show_no_raw_bytes(tmp_path):
    error = refused_soon(b"c\x1b[31mos\nsys\x07tem\n.", tmp_path, megabytes=8)
    assert str(error).isprintable()
    assert "\\x1b[31mos.sys\\x07tem" in error.got


def test_python_itself_would_hang_or_fill_memory():
    """The negative control, at a size that ends: each level of nesting doubles the time of Python's own unpickler."""
    small, large = (pickle.loads(HEAD + nested(times) + b".") for times in (10, 20))

    def seconds(value):
        start = time.process_time()
        hash(value)
        return time.process_time() - start

    assert min(seconds(large) for _ in range(3)) > 20 * min(seconds(small) for _ in range(9))


def test_names_cannot_be_changed(tmp_path):
    names = dict(unpickle.NAMES)
    (tmp_path / "a.pickle").write_bytes(HEAD + b"cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.")
    with pytest.raises(ParameterError, match="changes what its names mean"):
        read_arrays(tmp_path / "a.pickle")
    assert names == unpickle.NAMES


@pytest.mark.parametrize("protocol", range(6))
def test_a_recording_of_every_protocol_is_within_the_limits(protocol, tmp_path):
    counts, velocity = np.arange(200_000).reshape(-1, 20) % 7.0, np.random.default_rng(0).standard_normal((10_000, 2))
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"counts": counts, "shared": [velocity, velocity]}, protocol))
    found = read_arrays(tmp_path / "a.pickle")
    assert np.array_equal(found["counts"], counts)
    assert all(np.array_equal(array, velocity) for array in found["shared"])
