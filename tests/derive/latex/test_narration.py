"""`Proof.latex`: references resolve, citations are keys of the bibliography, and words are escaped."""

import re

from wideproof.derive import Alternating, corrections, models, ntk, relu, scale_factors
from wideproof.derive.latex.narration import narrated
from wideproof.derive.proof.proof import Proof, Step


def test_references_of_a_pasted_proof_resolve_and_labels_carry_its_name():
    text = ntk(models.elman("tanh")).proof.latex("tanh-ntk")
    labels = re.findall(r"\\label\{([^}]*)\}", text)
    assert len(labels) > 5
    assert all(label.startswith("eq:tanh-ntk-") for label in labels)
    assert set(re.findall(r"\\eqref\{([^}]*)\}", text)) <= set(labels)
    assert len(set(labels)) == len(labels)
    assert text.startswith("\\begin{proof}\n")
    assert text.count(r"\begin{equation") == text.count(r"\end{equation")


def test_citations_name_entries_of_the_bibliography(pytestconfig):
    bibliography = (pytestconfig.rootpath / "templates" / "refs.bib").read_text(encoding="utf-8")
    keys = re.findall(r"\\cite(?:\[[^]]*\])?\{([^}]*)\}", scale_factors(models.linear_rnn()).proof.latex())
    assert keys
    assert all(f"{{{key}," in bibliography for key in keys)


def test_words_of_a_user_are_escaped():
    proof = scale_factors(models.linear_rnn()).proof
    last = Step(r"my_rule \input{x}", proof.steps[-1].claim, "me", "proved", (16, 18))
    text = Proof(proof.program, proof.goal, (*proof.steps[:-1], last)).latex()
    assert r"the rule my\_rule \textbackslash{}input\{x\} gives" in text


def test_what_an_induction_repeats_line_by_line_is_said_once():
    run = Alternating("lines")
    A, x = run.matrix("A", variance=1), run.source("x", "n", 1)
    run.keep("v", A.T @ relu(A @ (A.T @ (A @ x))))
    proof = corrections(run).proof
    stated = {}
    narrated(proof, "claim", stated=stated)
    said = [str(passage) for passage in narrated(proof, "lines", stated=dict.fromkeys(stated, "eq:claim"))]
    assert len(said) == len(set(said)) > 5
