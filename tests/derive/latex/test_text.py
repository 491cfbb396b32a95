import ast
import re
import subprocess
import unicodedata
from pathlib import Path

import pypandoc
import pytest
from hypothesis import given, settings, strategies as st

from wideproof.derive.language.shown import visible
from wideproof.derive.latex.text import DocumentError, Latex, Math, clean, escape, marked, plain

HARD = r"a_b&%$#{}~^\ `q' ``qq'' -- --- <<x>> ?` [y] *z* \input{/etc/passwd} \write18{ls} $$ %c "
TEXTS = st.text(st.characters(exclude_categories=["C", "Z", "M"], include_characters=" " + HARD), max_size=30)


def read_back(texts: list[str], escaper=escape) -> list[str]:
    """What pandoc reads in each text, escaped and set as a paragraph between two bars."""
    source = "\n\n".join(f"|{escaper(text)}|" for text in texts)
    args = [pypandoc.get_pandoc_path(), "--sandbox", "-f", "latex", "-t", "plain", "--wrap=none"]
    out = subprocess.run(args, input=source.encode(), capture_output=True, check=True).stdout.decode()
    return [line[1:-1] for line in out.rstrip("\n").split("\n\n")]


def normal(text: str) -> str:
    """White space and the apostrophe as a typesetter sets them."""
    return re.sub(r"\s+", " ", clean(text).replace("'", "’"))


def test_the_hard_characters_come_back():
    assert read_back([HARD, *HARD.split(" ")[:-1]]) == [normal(t) for t in (HARD, *HARD.split(" ")[:-1])]


@settings(max_examples=6, deadline=None)
@given(st.lists(TEXTS, min_size=12, max_size=30))
def test_any_text_comes_back(texts):
    assert read_back(texts) == [normal(text) for text in texts]


def inert(source: str) -> bool:
    """No character of the source is a command, a comment, a group of arguments or part of a ligature."""
    printed = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|`)\{\}|\\[&%$#_{}]|\{[]*[]\}|(?<=\S)\{\}", "x", source
    )
    return not re.search(r"[\\&%$#_^`{}\[*]|--|<<|>>|,,", printed)


@given(TEXTS)
def test_no_character_of_any_text_is_a_command(text):
    assert inert(escape(text))


@pytest.mark.parametrize("char", [*r"_&%$#{}^\`[*", "--", "<<", ",,"])
def test_an_escape_that_forgets_one_character_is_caught(char):
    forgetful = char.join(escape(part) for part in f"a{char}b{char}".split(char))
    assert not inert(forgetful)
    assert inert(escape(f"a{char}b{char}"))


@pytest.mark.parametrize("char", [*r"%$\~"])
def test_pandoc_sees_a_forgotten_character_too(char):
    forgetful = char.join(escape(part) for part in f"a{char}b{char}c".split(char))
    assert read_back([forgetful, "end"], str) != [normal(f"a{char}b{char}c"), "end"]


def test_every_special_of_latex_is_escaped():
    assert escape("&%$#_{}") == r"\&\%\$\#\_\{\}"
    assert escape("<<--,,") == "<{}<{}-{}-{},{},"


def test_latex_passes_and_joining_it_with_a_string_loses_the_type():
    assert escape(Latex(r"\alpha")) == r"\alpha"
    assert escape(Latex(r"\alpha") + "_b") == r"\textbackslash{}alpha\_b"


def test_control_characters_and_line_breaks_are_gone():
    assert clean("a\x00b\n\nc\u202ed\ud800") == "ab cd"
    assert clean(unicodedata.normalize("NFD", "é")) == "é"


def test_a_formula_from_a_plain_string_is_refused():
    with pytest.raises(DocumentError) as caught:
        Math(r"\alpha")  # type: ignore[arg-type]
    assert (caught.value.where, caught.value.expected, caught.value.got) == ("Math", "Latex", "str")


def test_plain_drops_the_mark_up():
    assert plain(("Factors ", Math(Latex(r"\rho_{j}")))) == "Factors rho_j"
    assert Path(plain("a/b")).name == "b"


@pytest.mark.parametrize("bad", ["\x1b[31m", "\x9b31m", "\x07", "\r", "\u202e", "\u200b", "\udcff", "\u2028", "\ufeff"])
def test_what_a_terminal_would_obey_is_shown_as_its_escape(bad):
    shown = visible(f"a{bad}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert visible("é ∑ ─ \u00a0") == "é ∑ ─ \u00a0"


def test_a_long_text_says_how_much_is_left_out():
    assert visible("x" * 50, 10) == "x" * 10 + "… (40 characters left out)"
    assert visible("x\n", lines=True) == "x\n"
    assert visible("x\n") == "x\\n"


def test_formulas_stand_between_dollars_in_sentences_of_ours_alone():
    """`marked` sets what is between dollars as it is: in reports its argument is a literal, never a user's words."""
    assert marked(r"as $n \to \infty$, $x$") == ("as ", Math(Latex(r"n \to \infty")), ", ", Math(Latex("x")))
    calls = [node for path in Path("reports").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "marked"]  # fmt: skip
    assert len(calls) > 40
    assert all(isinstance(node.args[0], ast.Constant) for node in calls)
