"""What a certificate assumes: the recursion as the user wrote it, linear expectation, and the theorems that are cited.

The perturbed recursion is not assumed: Lemma B.1 gives the differential of a product, an input and a bias, the laws of
the perturbations follow from the parameterization alone, and the updates of perturbed states are lemmas.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.calculus.tangent import MARK
from wideproof.derive.certificate.terms import Writer, comment
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.program import MatVec, Parameter, Program

SPACE = """
(* Random variables in the limit of infinite width, one coordinate of each wide vector, and E of a product of two. *)
Variable V : Type.
Variables (zero : V) (plus : V -> V -> V) (scale : R -> V -> V) (E : V -> V -> R).
Hypothesis E_symmetric : forall u v, E u v = E v u.
Hypothesis E_plus : forall u v w, E (plus u v) w = E u w + E v w.
Hypothesis E_scale : forall c u w, E (scale c u) w = c * E u w.
Hypothesis E_zero : forall w, E zero w = 0.
Lemma E_plus_right : forall u v w, E w (plus u v) = E w u + E w v.
Proof. intros. rewrite !(E_symmetric w). apply E_plus. Qed.
Lemma E_scale_right : forall c u w, E w (scale c u) = c * E w u.
Proof. intros. rewrite !(E_symmetric w). apply E_scale. Qed.
Lemma E_zero_right : forall w, E w zero = 0.
Proof. intros. rewrite E_symmetric. apply E_zero. Qed.
Hint Rewrite E_plus E_plus_right E_scale E_scale_right E_zero E_zero_right delta_same : expand.
(* The constant 1; products, inputs and biases have mean zero. *)
Variable one : V.
Hypothesis E_one : E one one = 1.
Hint Rewrite E_one : expand.

(* A state before the first step is zero. *)
Definition before (u : nat -> V) (t : nat) : V := match t with O => zero | S i => u i end.

(* Input sequences: x and x', and the unit impulse at each time; gram a b t s is the inner product of the inputs. *)
Variable sequence : Type.
Variable gram : sequence -> sequence -> nat -> nat -> R.
Variable impulse : nat -> sequence.
Variables x x' : sequence.
Hypothesis unit_impulses : forall p q j k, gram (impulse p) (impulse q) j k = delta 0 j * delta 0 k.
Hint Rewrite unit_impulses : expand.
(* The time since the sequences began, where a matrix is drawn afresh at each step. *)
Variable step : sequence -> nat -> nat.
Hypothesis step_impulse : forall p j, step (impulse p) j = (j + p)%nat.
Hypothesis step_x : forall t, step x t = t.
Hypothesis step_x' : forall t, step x' t = t.
Hint Rewrite step_impulse step_x step_x' : expand.
""".strip()
LAWS = """
(* product M i v is n^(-1/2) M v, input M i a t is M x_t, bias M i is the bias itself; i is the row of a readout, the
   step of a matrix that is drawn afresh at each step, and 0 for one draw shared by all steps. *)
Variable product : parameter -> nat -> V -> V.
Variable input : parameter -> nat -> sequence -> nat -> V.
Variable bias : parameter -> nat -> V.
Hypothesis product_plus : forall M i u v, product M i (plus u v) = plus (product M i u) (product M i v).
Hypothesis product_scale : forall M i c v, product M i (scale c v) = scale c (product M i v).
Hypothesis product_zero : forall M i, product M i zero = zero.
Hint Rewrite product_plus product_scale product_zero : linear.
(* Lemma C.1: products with one Gaussian matrix have the covariance of their arguments times its variance; products
   with different matrices, rows or draws are independent. *)
Hypothesis emami2021implicit_lemma_C1 : forall M i k u v,
  E (product M i u) (product M k v) = variance M * delta i k * E u v.
Hypothesis emami2021implicit_lemma_C1_independent : forall M N i k u v, M <> N ->
  E (product M i u) (product N k v) = 0.
Hypothesis inputs_law : forall M i k a b t s,
  E (input M i a t) (input M k b s) = variance M * delta i k * gram a b t s.
Hypothesis inputs_independent : forall M N i k a b t s, M <> N -> E (input M i a t) (input N k b s) = 0.
Hypothesis biases_law : forall M i k, E (bias M i) (bias M k) = variance M * delta i k.
Hypothesis biases_independent : forall M N i k, M <> N -> E (bias M i) (bias N k) = 0.
Hypothesis input_product : forall M N i k a t v, E (input M i a t) (product N k v) = 0.
Hypothesis bias_product : forall M N i k v, E (bias M i) (product N k v) = 0.
Hypothesis bias_input : forall M N i k a t, E (bias M i) (input N k a t) = 0.
Hypothesis product_mean : forall M i v, E one (product M i v) = 0.
Hypothesis input_mean : forall M i a t, E one (input M i a t) = 0.
Hypothesis bias_mean : forall M i, E one (bias M i) = 0.
Hint Rewrite product_mean input_mean bias_mean : expand.
Lemma product_input : forall M N i k a t v, E (product N k v) (input M i a t) = 0.
Proof. intros. rewrite E_symmetric. apply input_product. Qed.
Lemma product_bias : forall M N i k v, E (product N k v) (bias M i) = 0.
Proof. intros. rewrite E_symmetric. apply bias_product. Qed.
Lemma input_bias : forall M N i k a t, E (input N k a t) (bias M i) = 0.
Proof. intros. rewrite E_symmetric. apply bias_input. Qed.
Hint Rewrite emami2021implicit_lemma_C1 inputs_law biases_law : expand.
Hint Rewrite input_product bias_product bias_input product_input product_bias input_bias : expand.
Hint Rewrite emami2021implicit_lemma_C1_independent inputs_independent biases_independent
  using discriminate : expand.
Ltac expand := repeat progress (autorewrite with expand linear; cbn [variance]).
""".strip()

ACTIVATIONS = """
(* act f k u is the k-th derivative of f at u. Products, inputs and biases are jointly Gaussian in the limit, so E of a
   product of two activations of their combinations is a function of three covariances, and of one, of its variance. *)
Variable act : activation -> nat -> V -> V.
Variable gaussian : V -> Prop.
Hypothesis gaussian_product : forall M i v, gaussian (product M i v).
Hypothesis gaussian_input : forall M i a t, gaussian (input M i a t).
Hypothesis gaussian_bias : forall M i, gaussian (bias M i).
Hypothesis gaussian_plus : forall u v, gaussian u -> gaussian v -> gaussian (plus u v).
Hypothesis gaussian_scale : forall c u, gaussian u -> gaussian (scale c u).
Variable gaussian_mean1 : activation -> nat -> R -> R.
Variable gaussian_mean2 : activation -> nat -> activation -> nat -> R -> R -> R -> R.
Hypothesis emami2021implicit_lemma_C1_gaussian1 : forall f k u, gaussian u ->
  E one (act f k u) = gaussian_mean1 f k (E u u).
Hypothesis emami2021implicit_lemma_C1_gaussian2 : forall f k g l u v, gaussian u -> gaussian v ->
  E (act f k u) (act g l v) = gaussian_mean2 f k g l (E u u) (E u v) (E v v).
Hypothesis emami2021implicit_lemma_C1_uncorrelated : forall f k g l u v, gaussian u -> gaussian v -> E u v = 0 ->
  E (act f k u) (act g l v) = gaussian_mean1 f k (E u u) * gaussian_mean1 g l (E v v).
Ltac gaussians :=
  repeat first
    [ apply gaussian_product | apply gaussian_input | apply gaussian_bias
    | apply gaussian_plus | apply gaussian_scale ].
Ltac gaussian_means :=
  first
    [ rewrite emami2021implicit_lemma_C1_gaussian2 by gaussians; expand; solve [ f_equal; ring ]
    | rewrite emami2021implicit_lemma_C1_gaussian1 by gaussians; expand; solve [ f_equal; ring ]
    | rewrite emami2021implicit_lemma_C1_uncorrelated by solve [ gaussians | expand; ring ]; expand;
      solve [ f_equal; f_equal; ring | rewrite Rmult_comm; f_equal; f_equal; ring ] ].
""".strip()


def hypotheses(writer: Writer, parameterization: str | None) -> str:
    """The section's variables and hypotheses, from the recursion as given and, for its tangent, Lemma B.1."""
    program = writer.program.base or writer.program
    _refuse(program)
    return "\n\n".join(
        (
            "\n".join(_letters(writer, program)),
            SPACE,
            _parameters(writer, program, parameterization),
            LAWS,
            *([_activations(writer, program)] if _applied(program) else []),
            "\n".join(_definition(writer, program)),
            *(["\n".join(_differential(writer, program))] if parameterization else []),
        )
    )


def _applied(program: Program) -> list[sp.Expr]:
    """The names of the activations of a recursion."""
    exprs = [body for _, body in program.updates] + [program.output]
    exprs += [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    return sorted({phi.args[0] for expr in exprs for phi in sp.sympify(expr, strict=True).atoms(Phi)}, key=str)


def _activations(writer: Writer, program: Program) -> str:
    """Lemma C.1 for activations: E of a product of two is a function of three covariances."""
    return f"Inductive activation := {' | '.join(map(writer.activation, _applied(program)))}.\n{ACTIVATIONS}"


def _refuse(program: Program) -> None:
    reasons = {
        "states that start at zero": [s.name for s in program.states if s.initial != 0],
        "states that read the sequence forwards": [s.name for s in program.states if s.backward],
        "biases of mean zero": [x.name for x in program.parameters if x.mean != 0],
        "one draw of a readout or an output bias": [
            x.name for x in program.parameters if x.role == "readout" and not x.tied
        ],
    }
    for expected, names in reasons.items():
        if names:
            raise NotCertified(f"definition of {program.name}", expected, ", ".join(names), "It is not covered yet.")


def _letters(writer: Writer, program: Program) -> Iterator[str]:
    """Variances and coefficients, with the sign that each is declared with."""
    yield "(* Variances and coefficients of the recursion. *)"
    for symbol in program.symbols.values():
        name = writer.names.given[symbol]
        yield f"Variable {name} : R."
        if symbol.is_positive or symbol.is_nonnegative:
            yield f"Hypothesis {name}_sign : 0 {'<' if symbol.is_positive else '<='} {name}."


def _parameters(writer: Writer, program: Program, parameterization: str | None) -> str:
    """The parameters and their variances; a perturbation has variance 1, or that of its parameter under "ntk"."""
    laws = {writer.parameter(x): writer.real(x.variance) for x in program.parameters}
    if parameterization:
        for x in program.parameters:
            if x.trainable:
                laws[_perturbation(writer, x)] = "1" if parameterization == "entries" else writer.real(x.variance)
    arms = " | ".join(f"{name} => {law}" for name, law in laws.items())
    return (
        f"(* Gaussian parameters and the variance of their entries. *)\nInductive parameter := {' | '.join(laws)}.\n"
        f"Definition variance (M : parameter) : R := match M with {arms} end."
    )


def _perturbation(writer: Writer, parameter: Parameter) -> str:
    return writer.names(MARK + parameter.name, MARK + parameter.name)


def _definition(writer: Writer, program: Program) -> Iterator[str]:
    """The updates and the output."""
    yield comment(f"The recursion {program.name} as it was written.")
    for updated, _ in program.updates:
        yield f"Variable {writer.state(updated)} : sequence -> nat -> V."
    for updated, body in program.updates:
        name = writer.state(updated)
        yield f"Hypothesis {name}_definition : forall a t, {name} a t = {writer.vector(body, 't', 'a')}."
    name = writer.output(OUTPUT)
    yield f"Variable {name} : nat -> sequence -> nat -> V."
    body = writer.vector(program.output, "t", "a", "r")
    yield f"Hypothesis {name}_definition : forall r a t, {name} r a t = {body}."


def _differential(writer: Writer, program: Program) -> Iterator[str]:
    """Lemma B.1: the response of each term to a perturbation of all trainable entries."""
    yield "(* Lemma B.1 and (44): the response d to a random perturbation of all trainable entries is linear; of a"
    yield "   product it is the perturbed matrix times the argument and the matrix times the argument's response. *)"
    yield "Variable d : V -> V."
    yield "Hypothesis d_zero : d zero = zero."
    yield "Hypothesis d_plus : forall u v, d (plus u v) = plus (d u) (d v)."
    yield "Hypothesis d_scale : forall c u, d (scale c u) = scale c (d u)."
    hints = ["d_zero", "d_plus", "d_scale"]
    for x in program.parameters:
        name = writer.parameter(x)
        hints.append(f"emami2021implicit_lemma_B1_{name}")
        yield f"Hypothesis {hints[-1]} : {_response(writer, x, name)}."
    for updated, _ in program.updates:
        name, response = writer.state(updated), perturbed_state(writer, updated)
        yield f"Definition {response} a t := d ({name} a t)."
        yield f"Lemma d_{name} : forall a t, d ({name} a t) = {response} a t. Proof. reflexivity. Qed."
        yield f"Lemma d_before_{name} : forall a t, d (before ({name} a) t) = before ({response} a) t."
        yield "Proof. intros a [|t]; [apply d_zero | reflexivity]. Qed."
        hints += [f"d_{name}", f"d_before_{name}"]
    yield f"Hint Rewrite {' '.join(hints)} : tangent."
    name = writer.output(OUTPUT)
    response = writer.output(sp.Symbol(MARK + OUTPUT.name))
    yield f"Definition {response} r a t := d ({name} r a t)."
    yield f"Lemma d_{name} : forall r a t, d ({name} r a t) = {response} r a t. Proof. reflexivity. Qed."
    yield "(* (21): the weight of a lag, the same for all rows; the times of the impulses do not matter. *)"
    yield f"Definition rho (j : nat) : R := E ({response} 0 (impulse 0) j) ({response} 0 (impulse 1) j)."


def _response(writer: Writer, parameter: Parameter, name: str) -> str:
    own = _perturbation(writer, parameter) if parameter.trainable else None
    if parameter.role == "input_map":
        return f"forall i a t, d (input {name} i a t) = " + (f"input {own} i a t" if own else "zero")
    if parameter.role == "bias":
        return f"forall i, d (bias {name} i) = " + (f"bias {own} i" if own else "zero")
    through = f"product {name} i (d v)"
    return f"forall i v, d (product {name} i v) = " + (f"plus (product {own} i v) ({through})" if own else through)


def perturbed_state(writer: Writer, updated: sp.Expr) -> str:
    """The identifier of the response of a state, in the tangent of the recursion."""
    program = writer.program
    base = [c for c, _ in program.base.updates] if program.base else []
    return writer.names.given[program.updates[len(base) + base.index(updated)][0]]
