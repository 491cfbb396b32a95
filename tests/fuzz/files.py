"""Files of every kind, whole and broken, under names that may lie, read as a recording."""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from scipy.io import savemat

from wideproof.numeric.recordings import load_recording

ENDINGS = (
    ".csv",
    ".tsv",
    ".dat",
    ".txt",
    ".npz",
    ".mat",
    ".pickle",
    ".pkl",
    ".csv.gz",
    ".dat.gz",
    ".npz.gz",
    "",
    ".py",
)
NAMES = ("a", "\x1b[31mred", "a b", "é\u202e", "x" * 120, "-rf", "%s", "\n")
EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2**16, 255, 2**24, 0x7F7F7F7F)
WORDS = (
    "1_000", "١", "nan", "inf", "-inf", "1e999", "", "a]", "[0]", "u[0]", "\x1b[2J", '"', "=1+1", "1,5",
    "0x1p3", "\0", "'", "1e-320", "9" * 400, "[" * 50, "{}", "%n", "$(id)",
)  # fmt: skip


@cache
def corpus() -> tuple[tuple[str, bytes], ...]:
    """Good files, each with its ending."""
    rng = np.random.default_rng(0)
    u, y = rng.standard_normal((150, 2)), rng.standard_normal(150)
    values = {"inputs": u, "outputs": y[:, None]}
    text = "\n".join(" ".join(f"{x:.6g}" for x in (*row, out)) for row, out in zip(u, y, strict=True))
    found = [
        (".csv", f"u,v,y\n{text.replace(' ', ',')}\n".encode()),
        (".csv", text.replace(" ", ",").encode()),
        (".tsv", (text.replace(" ", "\t").replace("\n", "\t\r\n") + "\t\r\n").encode()),
        (".dat", text.encode()),
        (".dat.gz", gzip.compress(text.encode())),
    ]
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, **values)
        found.append((".npz", stream.getvalue()))
    cell = np.empty((2, 1), dtype=object)
    cell[:, 0] = [np.sort(rng.uniform(0, 9, 300)), np.sort(rng.uniform(0, 9, 200))]
    spikes = {"spike_times": cell, "vels": rng.standard_normal((900, 2)), "vel_times": np.arange(900)[:, None] / 100}
    for data, more in ((values, {"format": "4"}), (values, {}), (values, {"do_compression": True}), (spikes, {})):
        stream = io.BytesIO()
        savemat(stream, data, **more)
        found.append((".mat", stream.getvalue()))
    found += [(".pickle", pickle.dumps(values, protocol)) for protocol in range(6)]
    found.append((".pickle", pickle.dumps([u, u[:, :1]], 2)))
    return (*found, *_hdf5(values))


def _hdf5(values: dict[str, np.ndarray]) -> list[tuple[str, bytes]]:
    try:
        import h5py
    except ImportError:
        return []
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        for name, array in values.items():
            file.create_dataset(name, data=array.T, compression="gzip")
    return [(".mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 384 + stream.getvalue()[512:])]


# ---- how a file is broken -------------------------------------------------------------------------------
def flipped(rng: np.random.Generator, data: bytearray) -> None:
    for at in rng.integers(0, max(1, len(data)), rng.integers(1, 8)):
        if at < len(data):
            data[at] ^= 1 << int(rng.integers(8))


def cut(rng: np.random.Generator, data: bytearray) -> None:
    del data[int(rng.integers(0, len(data) + 1)) :]


def doubled(rng: np.random.Generator, data: bytearray) -> None:
    a, b = sorted(int(x) for x in rng.integers(0, len(data) + 1, 2))
    data[a:a] = data[a : min(b, a + 4096)] * int(rng.integers(1, 4))


def resized(rng: np.random.Generator, data: bytearray) -> None:
    """A number of four bytes becomes an extreme one: sizes, offsets and counts lie."""
    at = (
        int(rng.integers(0, max(1, min(len(data) - 4, 700))))
        if rng.random() < 0.7
        else int(rng.integers(len(data) + 1))
    )
    data[at : at + 4] = int(rng.choice(EXTREMES)).to_bytes(4, "little", signed=True)


def filled(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(0, len(data) + 1))
    data[at:at] = rng.bytes(int(rng.integers(1, 64)))


def worded(rng: np.random.Generator, data: bytearray) -> None:
    at = int(rng.integers(0, len(data) + 1))
    data[at : at + int(rng.integers(0, 9))] = str(rng.choice(WORDS)).encode("utf-8", "surrogatepass")


BREAKS: tuple[Callable[[np.random.Generator, bytearray], None], ...] = (flipped, cut, doubled, resized, filled, worded)


def operations(rng: np.random.Generator) -> bytes:
    """A pickle of random operations, their arguments well formed as often as not."""
    codes = [o.code.encode("latin1") for o in pickletools.opcodes]
    pieces = (
        b"K\x01", b"(", b"]", b"}", b")", b"a", b"s", b"t", b"\x86", b"q\x00", b"h\x00", b"R", b"b", b"N", b"e",
        b"u", b"X\x03\x00\x00\x00abc", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cnumpy\nndarray\n", b"C\x08" + bytes(8), b"X\x02\x00\x00\x00f8", b"cos\nsystem\n",
        b"X\x02\x00\x00\x00id", b"\x94", b"\x93",
    )  # fmt: skip
    made = [bytes(rng.choice(codes)) + rng.bytes(int(rng.integers(0, 6))) if rng.random() < 0.2 else
            pieces[rng.integers(len(pieces))] for _ in range(rng.integers(1, 60))]  # fmt: skip
    return b"\x80\x03" + b"".join(made) + b"."


def case(rng: np.random.Generator, folder: Path) -> str:
    """Write one file and read it."""
    right, good = corpus()[rng.integers(len(corpus()))]
    ending, data = right, bytearray(good)
    kind = rng.random()
    if kind < 0.1:
        ending, data = ".pickle", bytearray(operations(rng))
    elif kind < 0.15:
        data = bytearray(rng.bytes(int(rng.integers(0, 3000))))
    elif kind < 0.9:
        for _ in range(rng.integers(1, 4)):
            BREAKS[rng.integers(len(BREAKS))](rng, data)
    if rng.random() < 0.1:
        ending = str(rng.choice(ENDINGS))
    path = folder / f"{rng.choice(NAMES)}{ending}"
    path.write_bytes(bytes(data))
    load_recording(path, **(fitting(right) if rng.random() < 0.7 else arguments(rng)))
    return "read"


def fitting(ending: str) -> dict[str, object]:
    """The columns of the good file of this kind."""
    text = ending.split(".")[1] in ("csv", "tsv", "dat")
    return {"inputs": [1, 2], "outputs": [3]} if text else {"allow_pickle": True}


def arguments(rng: np.random.Generator) -> dict[str, object]:
    """Columns by names that are there or not; consent, mostly."""
    named: dict[str, object] = {"allow_pickle": bool(rng.random() < 0.95)}
    choices: tuple[dict[str, object], ...] = (
        {}, {"outputs": ["outputs"]}, {"inputs": ["inputs"], "outputs": ["outputs"]}, {"inputs": "1", "outputs": ["3"]},
        {"outputs": ["y"]}, {"inputs": ["u"], "outputs": ["y"]}, {"columns": ["a", "b", "c"], "outputs": ["c"]},
        {"inputs": [str(rng.choice(WORDS))], "outputs": [2]}, {"rate": float(rng.choice([1.0, 0.0, np.nan, 1e300]))},
    )  # fmt: skip
    return named | choices[rng.integers(len(choices))]
