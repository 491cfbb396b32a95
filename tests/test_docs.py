"""The pages of docs/ run: all Python blocks of a page in one namespace, and they print what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import wideproof as wp
from tests.command_line import CliRunner
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.emit.derivation import Reading
from wideproof.derive.proof.rules import Rule
from wideproof.reports.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
MADE = ("_build", "generated")
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if not set(MADE) & set(p.relative_to(ROOT).parts))
NAMES = [page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in PAGES]
FLOORS = ("derive", "numeric", "reports")
OF_MODELS = ("--activation", "--leak", "--bias", "--layers", "--steps")
"""Options that models have; those of variances begin with --nu-."""


@pytest.fixture
def own_rules_end():
    """Rules that a page declares, with their quantity and meaning, are forgotten after it."""
    yield
    own = [name for name, rule in Rule.registry.items() if rule.apply.__module__ == "page"]
    for name in own:
        del Rule.registry[name]
        Reading.registry.pop(name, None)
    for kind in [kind for kind in MEANINGS if kind.__module__ == "page"]:
        del MEANINGS[kind]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_runs_and_prints_what_it_says(page, capsys, own_rules_end):
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "page"}
    for block in re.findall(r"^```(?:python|\{code-cell\} python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    said = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == "".join(said)


def test_the_architecture_names_what_exists():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree, walks = re.search(r"```\n(wideproof.*?)```(.*)", text, re.DOTALL).groups()
    paths, floor = [], ""
    for line in tree.splitlines():
        name = line.split()[0]
        floor = floor if line.startswith(" ") else name
        paths.append(floor + name if line.startswith(" ") else name)
    paths += re.findall(r"`([a-z_]+/[\w/.]+)`", walks)
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []
    rooms = {str(path.relative_to(ROOT)) for floor in FLOORS for path in (ROOT / floor).iterdir() if path.is_dir()}
    rooms -= {room for room in rooms if room.endswith(("__pycache__", "templates"))}
    assert {path.rstrip("/") for path in paths} >= rooms


@cache
def help_of(*verb):
    done = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(
        app, [*verb, "--help"], prog_name="wideproof"
    )
    return done.stdout if done.exit_code == 0 else ""


def unknown_words(line):
    """The verb or the options of a command that it does not have."""
    program, *words = shlex.split(line, comments=True)
    if program != "wideproof":
        return []
    verb = words[: 2 if words[0] == "runs" else 1]
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    known = help_of(*verb)
    free = (*OF_MODELS, "--help")
    return [x for x in options if not (x in known or x.startswith("--nu-") or x in free)] if known else verb


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_of_a_page_exists(page):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip() and not line.startswith("#")]
    assert {line: unknown_words(line) for line in lines if unknown_words(line)} == {}


def test_a_command_that_is_none_is_noticed():
    assert unknown_words("wideproof prove linear-rnn") == ["prove"]
    assert unknown_words("wideproof derive linear-rnn --poof") == ["--poof"]


def test_the_site_builds_without_a_warning(tmp_path):
    """Without gallery and notebook, which `make docs` derives and executes; Sphinx comes with the extra docs."""
    pytest.importorskip("myst_nb")
    pytest.importorskip("pydata_sphinx_theme")
    quick = ["-D", "nb_execution_mode=off", "-D", "wideproof_gallery=0", "-D", "suppress_warnings=myst-nb.lexer"]
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "-q", *quick, "docs", str(tmp_path)], cwd=ROOT,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "generated" / "python.html").read_text(encoding="utf-8")
    assert 'id="wideproof.ntk"' in page
    assert not re.findall(r'(?:src|href)="https?://[^"]*\.(?:js|css|woff2?)', page)


def test_what_is_cited_is_this_version():
    for name in ("CITATION.cff", "docs/cite.md"):
        (version,) = re.findall(r"^\s*version\s*[:=] *\{?([\d.]+)", (ROOT / name).read_text(), re.MULTILINE)
        assert version == wp.__version__, name
