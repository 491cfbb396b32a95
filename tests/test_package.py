"""One distribution with one import name: built, installed beside decoys, and used with no checkout in sight."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import wideproof as wp

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("derive", "numeric", "reports")
SDIST = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"
WHEEL = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
USE = """
import json, sys
from pathlib import Path
import wideproof as wp
import derive, numeric, reports
from wideproof.numeric.recordings import RECORDINGS, load_recording
from wideproof.reports.document.blocks import Document, Equation, Paragraph, Section
from wideproof.derive.latex.displays import display
from wideproof.reports.render.render import render
rho = wp.scale_factors(wp.models.linear_rnn())
rho.proof.verify()
body = (Paragraph("The scale factor is"), Equation(display(rho.proof.goal.left, rho.formula.expr), "eq:rho"))
done = render(Document("T", "A", (Section("S", body),), "w"), Path(sys.argv[1]))
kernel = wp.Kernel(wp.models.elman(activation="erf"), nu_W=0.5, nu_F=1.0, nu_b=0.1, nu_C=1.0)
print(json.dumps({"places": [m.__file__ for m in (wp, wp.derive, wp.numeric, wp.reports)],
                  "decoys": [m.DECOY for m in (derive, numeric, reports)], "tex": done.tex.read_text(),
                  "kernel": kernel.ntk([[[1.0], [2.0]]], [[[1.0], [0.5]]]).shape, "version": wp.__version__,
                  "samples": [load_recording(name).samples for name in RECORDINGS]}))
"""


def built(code, source, folder):
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """The source distribution, made from a copy, so that the build leaves nothing in the checkout."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools, the build backend, is not installed")
    copy = tmp_path_factory.mktemp("copy") / "wideproof"
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in names.stdout.splitlines() or pytest.skip("not a git checkout"):
        if os.path.lexists(ROOT / name):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                (copy / name).symlink_to(os.readlink(ROOT / name))
            else:
                (copy / name).write_bytes((ROOT / name).read_bytes())
    return built(SDIST, copy, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory):
    """The wheel, built from the source distribution alone."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and later
        archive.extractall(folder, **safe)
    (source,) = folder.iterdir()
    return built(WHEEL, source, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_one_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"wideproof", next(top for top in tops if top.endswith(".dist-info"))}
    assert {"wideproof/py.typed", "wideproof/__main__.py", "wideproof/__init__.pyi"} <= set(names)
    for floor in FLOORS:
        held = {f"wideproof/{path.relative_to(ROOT)}" for path in (ROOT / floor).rglob("*.py")}
        assert held <= set(names), floor
        assert f"wideproof/{floor}/__init__.pyi" in names
    templates = {f"wideproof/reports/templates/{path.name}" for path in (ROOT / "templates").iterdir()}
    assert {name for name in templates if not name.endswith(".gitkeep")} <= set(names)
    assert any(name.endswith("document.tex.j2") for name in templates)
    for name in ("daphnet_s06r02.npz", "er_fmri.npz", "LICENSE-aeon", "LICENSE-nitime", "README.md"):
        assert f"wideproof/numeric/recordings/{name}" in names
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} >= {
        "LICENSE", "LICENSE-aeon", "LICENSE-nitime",
    }  # fmt: skip
    assert not [name for name in names if "__pycache__" in name or "test" in name.split("/")[-1].split("_")]


def test_its_metadata_names_command_extras_and_no_gpu(wheel):
    archive = zipfile.ZipFile(wheel)
    read = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "wideproof = wideproof.__main__:main" in read["entry_points.txt"]
    assert read["top_level.txt"].split() == ["wideproof"]
    needs = [line for line in read["METADATA"].splitlines() if line.startswith("Requires-Dist")]
    for extra, package in (("cuda12", "cupy-cuda12x"), ("cuda13", "cupy-cuda13x"), ("pdf", "typst")):
        assert any(package in line and f'extra == "{extra}"' in line for line in needs)
    assert not any("cupy" in line and "extra" not in line for line in needs)


def test_beside_packages_of_the_old_names_it_derives_and_typesets(wheel, tmp_path):
    """`derive` and `reports` are other projects on PyPI: only theirs are found under these names, and ours still works.

    The unpacked wheel, the decoys and the dependencies are on the path: no checkout, no editable install.
    """
    home = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(home)
    for floor in FLOORS:
        (home / floor).mkdir()
        (home / floor / "__init__.py").write_text("DECOY = __name__\n")
    site = sysconfig.get_paths()["purelib"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    code = f"import sys; sys.path[1:1] = [{str(home)!r}]; sys.path.append({site!r})\n{USE}"
    done = subprocess.run([sys.executable, "-S", "-P", "-c", code, str(tmp_path / "out")], cwd=tmp_path, env=env,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(place.startswith(str(home / "wideproof")) for place in found["places"])
    assert found["decoys"] == list(FLOORS)
    assert found["version"] == wp.__version__
    assert found["kernel"] == [1, 2, 1, 2]
    assert r"\label{eq:rho}" in found["tex"]
    assert all(samples > 100 for samples in found["samples"])


def imported(text):
    todo = [ast.parse(text)]
    while todo:
        node = todo.pop()
        todo += [x for x in ast.iter_child_nodes(node) if not isinstance(x, ast.expr)]  # none holds an import
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_no_file_imports_the_old_names():
    """In a checkout they would be found by chance, as other modules than those of wideproof."""
    folders = [*FLOORS, "tests", "wideproof"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)]
    named = [(path, name) for path in files for name in imported(path.read_text())]
    assert "wideproof" in {name for _, name in named}
    assert [x for x in named if x[1] in FLOORS] == []


def test_the_face_has_every_public_name_once_and_loads_it_lazily():
    assert len(wp.__all__) == len(set(wp.__all__))
    assert wp.__version__ == metadata.version("wideproof")
    for name in wp.__all__:
        assert getattr(wp, name) is not None
    assert set(wp.__all__) <= set(dir(wp))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = wp.no_such_name
    code = "import sys, wideproof; print(sorted({'sympy', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_quantity_is_the_function_after_its_rooms_are_loaded():
    """No room bears the name of a public function: the room, once loaded, would stand in its place."""
    rooms = {path.stem for floor in FLOORS for path in (ROOT / floor).iterdir()}
    assert rooms & set(wp.__all__) == {"models"}


def test_the_package_is_also_a_program():
    done = subprocess.run([sys.executable, "-m", "wideproof", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"wideproof {wp.__version__}\n"
