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

BILINEAR = """
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
Hint Rewrite E_plus E_plus_right E_scale E_scale_right E_zero E_zero_right : expand.
""".strip()
SPACE = (
    """
(* Random variables in the limit of infinite width, one coordinate of each wide vector, and E of a product of two. *)
"""
    + BILINEAR
    + """
Hint Rewrite delta_same : expand.
(* The constant 1; products, inputs and biases have mean zero. *)
Variable one : V.
Hypothesis E_one : E one one = 1.
Hint Rewrite E_one : expand.

(* A state before the first step is zero. *)
Definition before (u : nat -> V) (t : nat) : V := match t with O => zero | S i => u i end.

(* Input sequences, and the unit impulse at each time; gram a b t s is the inner product of the inputs. *)
Variable sequence : Type.
Variable gram : sequence -> sequence -> nat -> nat -> R.
Variable impulse : nat -> sequence.
Hypothesis gram_symmetric : forall a b t s, gram a b t s = gram b a s t.
Hypothesis unit_impulses : forall p q j k, gram (impulse p) (impulse q) j k = delta 0 j * delta 0 k.
Hint Rewrite unit_impulses : expand.
(* The time since a sequence began, where a matrix is drawn afresh at each step; those that are given begin at 0. *)
Variable step : sequence -> nat -> nat.
Hypothesis step_impulse : forall p j, step (impulse p) j = (j + p)%nat.
Variable given : sequence -> Prop.
Hypothesis step_given : forall a t, given a -> step a t = t.
Hint Rewrite step_impulse : expand.
Hint Rewrite step_given using assumption : expand.
"""
).strip()
PAIR = """
Variables x x' : sequence.
Hypothesis given_x : given x.
Hypothesis given_x' : given x'.
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
Hypothesis gaussian_zero : gaussian zero. (* of variance 0 *)
Variable gaussian_mean1 : activation -> nat -> R -> R.
Variable gaussian_mean2 : activation -> nat -> activation -> nat -> R -> R -> R -> R.
Hypothesis emami2021implicit_lemma_C1_gaussian1 : forall f k u, gaussian u ->
  E one (act f k u) = gaussian_mean1 f k (E u u).
Hypothesis emami2021implicit_lemma_C1_gaussian2 : forall f k g l u v, gaussian u -> gaussian v ->
  E (act f k u) (act g l v) = gaussian_mean2 f k g l (E u u) (E u v) (E v v).
(* Gaussian variables without covariance are independent; the order of two variables does not matter. *)
Hypothesis emami2021implicit_lemma_C1_uncorrelated : forall f k g l a c,
  gaussian_mean2 f k g l a 0 c = gaussian_mean1 f k a * gaussian_mean1 g l c.
Hypothesis order_of_variables : forall f k g l a b c, gaussian_mean2 f k g l a b c = gaussian_mean2 g l f k c b a.
(* E[a f(v)] = E[a v] E[f'(v)]. *)
Hypothesis stein1981estimation : forall f k a v, gaussian a -> gaussian v ->
  E a (act f k v) = E a v * gaussian_mean1 f (S k) (E v v).
Lemma stein1981estimation_left : forall f k a v, gaussian a -> gaussian v ->
  E (act f k v) a = E a v * gaussian_mean1 f (S k) (E v v).
Proof. intros. rewrite E_symmetric. now apply stein1981estimation. Qed.
Lemma mean_left : forall f k u, gaussian u -> E (act f k u) one = gaussian_mean1 f k (E u u).
Proof. intros. rewrite E_symmetric. now apply emami2021implicit_lemma_C1_gaussian1. Qed.
Ltac gaussians :=
  solve [ repeat first
    [ apply gaussian_product | apply gaussian_input | apply gaussian_bias
    | apply gaussian_plus | apply gaussian_scale | apply gaussian_zero ] ].
(* Each E of activations becomes a Gaussian mean. *)
Ltac gaussian_means :=
  repeat first
    [ rewrite emami2021implicit_lemma_C1_gaussian2 by gaussians
    | rewrite emami2021implicit_lemma_C1_gaussian1 by gaussians | rewrite mean_left by gaussians
    | rewrite stein1981estimation by gaussians | rewrite stein1981estimation_left by gaussians ].
(* The covariances inside Gaussian means get names A; the mean of what is uncorrelated is a product; the others are
   written in the covariances of a mean on the right that are equal to theirs, by linearity and `order`. *)
Ltac name_covariances :=
  repeat match goal with
  | |- context [gaussian_mean2 _ _ _ _ (E ?u ?v) _ _] => remember (E u v)
  | |- context [gaussian_mean2 _ _ _ _ _ (E ?u ?v) _] => remember (E u v)
  | |- context [gaussian_mean2 _ _ _ _ _ _ (E ?u ?v)] => remember (E u v)
  | |- context [gaussian_mean1 _ _ (E ?u ?v)] => remember (E u v)
  end.
Ltac equal A a order :=
  tryif constr_eq A a then idtac else
    let H := fresh in
    assert (H : A = a) by
      (first [match goal with N : A = E _ _ |- _ => rewrite N; expand; order end | idtac]; ring);
    rewrite H; clear H.
Ltac independent order :=
  repeat match goal with |- context [gaussian_mean2 _ _ _ _ _ ?b _] => is_var b; equal b 0 order end;
  rewrite ?emami2021implicit_lemma_C1_uncorrelated.
Ltac exchange a b c :=
  first
    [ constr_eq a c
    | repeat match goal with |- context [gaussian_mean2 ?f ?k ?g ?l c b a] =>
        rewrite (order_of_variables f k g l c b a) end ].
Ltac align order :=
  independent order;
  repeat match goal with |- ?lhs = ?rhs =>
    match lhs with context [gaussian_mean2 _ _ _ _ ?A ?B ?C] =>
      match rhs with context [gaussian_mean2 _ _ _ _ ?a ?b ?c] =>
        tryif (constr_eq A a; constr_eq B b; constr_eq C c) then fail else
          first
            [ equal A a order; equal B b order; equal C c order
            | equal A c order; equal B b order; equal C a order; exchange a b c ] end end end;
  repeat match goal with |- ?lhs = ?rhs =>
    match lhs with context [gaussian_mean1 _ _ ?A] =>
      match rhs with context [gaussian_mean1 _ _ ?a] =>
        tryif constr_eq A a then fail else equal A a order end end end.
""".strip()

RESPONSES = """
(* Lemma B.1 for activations: the chain rule. times u v is the product of two random variables. By Stein's lemma, E of
   products of Gaussian variables a, b and of activations is a sum over what each meets: E[a b F(u, v)] =
   E[a b] E[F] + E[a u] E[b u] E[F_uu] + (E[a u] E[b v] + E[a v] E[b u]) E[F_uv] + E[a v] E[b v] E[F_vv]; derivatives
   of activations with kinks are those of distributions. *)
Variable times : V -> V -> V.
Hypothesis times_plus : forall u v w, times u (plus v w) = plus (times u v) (times u w).
Hypothesis times_scale : forall c u v, times u (scale c v) = scale c (times u v).
Hypothesis times_zero : forall u, times u zero = zero.
Hint Rewrite times_plus times_scale times_zero : linear.
Hypothesis stein1981estimation_one : forall f k u a, gaussian u -> gaussian a ->
  E one (times (act f k u) a) = E a u * gaussian_mean1 f (S k) (E u u).
Hypothesis stein1981estimation_bare : forall f k u a b, gaussian u -> gaussian a -> gaussian b ->
  E b (times (act f k u) a) =
    E a b * gaussian_mean1 f k (E u u) + E a u * E b u * gaussian_mean1 f (S (S k)) (E u u).
Hypothesis stein1981estimation_once : forall f k g l u v a, gaussian u -> gaussian v -> gaussian a ->
  E (times (act f k u) a) (act g l v) =
    E a u * gaussian_mean2 f (S k) g l (E u u) (E u v) (E v v)
    + E a v * gaussian_mean2 f k g (S l) (E u u) (E u v) (E v v).
Hypothesis stein1981estimation_twice : forall f k g l u v a b,
  gaussian u -> gaussian v -> gaussian a -> gaussian b ->
  E (times (act f k u) a) (times (act g l v) b) =
    E a b * gaussian_mean2 f k g l (E u u) (E u v) (E v v)
    + E a u * E b u * gaussian_mean2 f (S (S k)) g l (E u u) (E u v) (E v v)
    + (E a u * E b v + E a v * E b u) * gaussian_mean2 f (S k) g (S l) (E u u) (E u v) (E v v)
    + E a v * E b v * gaussian_mean2 f k g (S (S l)) (E u u) (E u v) (E v v).
Ltac stein :=
  repeat first
    [ rewrite stein1981estimation_twice by gaussians | rewrite stein1981estimation_once by gaussians
    | rewrite (E_symmetric (act _ _ _) (times _ _)) | rewrite stein1981estimation_one by gaussians
    | rewrite (E_symmetric (times _ _) one) | rewrite stein1981estimation_bare by gaussians
    | rewrite (E_symmetric (times _ _) (product _ _ _)) | rewrite (E_symmetric (times _ _) (input _ _ _ _))
    | rewrite (E_symmetric (times _ _) (bias _ _)) ].
""".strip()


def hypotheses(writer: Writer, parameterization: str | None) -> str:
    """The section's variables and hypotheses, from the recursion as given and, for its tangent, Lemma B.1."""
    program = writer.program.base or writer.program
    refuse(program)
    return "\n\n".join(
        (
            "\n".join(letters(writer, program)),
            SPACE,
            *([] if for_all_sequences(writer.program) else [PAIR]),
            parameters_of(writer, program, parameterization),
            LAWS,
            *([_activations(writer, program)] if applied(program) else []),
            *([RESPONSES] if applied(program) and parameterization else []),
            "\n".join(definition_of(writer, program)),
            *(["\n".join((*differential_of(writer, program), *_weights(writer)))] if parameterization else []),
        )
    )


def applied(program: Program) -> list[sp.Expr]:
    """The names of the activations of a recursion."""
    exprs = [body for _, body in program.updates] + [program.output]
    exprs += [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    return sorted({phi.args[0] for expr in exprs for phi in sp.sympify(expr, strict=True).atoms(Phi)}, key=str)


def for_all_sequences(program: Program) -> bool:
    """Whether lemmas are about all pairs of sequences: moments of one and of two are read beside each other."""
    return program.base is not None and bool(applied(program))


def _activations(writer: Writer, program: Program) -> str:
    """Lemma C.1 for activations: E of a product of two is a function of three covariances."""
    return f"Inductive activation := {' | '.join(map(writer.activation, applied(program)))}.\n{ACTIVATIONS}"


def refuse(program: Program) -> None:
    """Raise NotCertified for a definition that no section states."""
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


def letters(writer: Writer, program: Program) -> Iterator[str]:
    """Variances and coefficients, with the sign that each is declared with."""
    yield "(* Variances and coefficients of the recursion. *)"
    for symbol in program.symbols.values():
        name = writer.names.given[symbol]
        yield f"Variable {name} : R."
        if symbol.is_positive or symbol.is_nonnegative:
            yield f"Hypothesis {name}_sign : 0 {'<' if symbol.is_positive else '<='} {name}."


def parameters_of(writer: Writer, program: Program, parameterization: str | None) -> str:
    """The parameters and their variances; a perturbation has variance 1, or that of its parameter under "ntk"."""
    laws = {writer.parameter(x): writer.real(x.variance) for x in program.parameters}
    if parameterization:
        for x in program.parameters:
            if x.trainable:
                laws[perturbation(writer, x)] = "1" if parameterization == "entries" else writer.real(x.variance)
    arms = " | ".join(f"{name} => {law}" for name, law in laws.items())
    return (
        f"(* Gaussian parameters and the variance of their entries. *)\nInductive parameter := {' | '.join(laws)}.\n"
        f"Definition variance (M : parameter) : R := match M with {arms} end."
    )


def perturbation(writer: Writer, parameter: Parameter) -> str:
    """The identifier of the perturbation of a parameter."""
    return writer.names(MARK + parameter.name, MARK + parameter.name)


def definition_of(writer: Writer, program: Program) -> Iterator[str]:
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


def differential_of(writer: Writer, program: Program) -> Iterator[str]:
    """Lemma B.1: the response of each term to a perturbation of all trainable entries."""
    yield "(* Lemma B.1 and (44): the response d to a random perturbation of all trainable entries is linear; of a"
    yield "   product it is the perturbed matrix times the argument and the matrix times the argument's response. *)"
    yield "Variable d : V -> V."
    yield "Hypothesis d_zero : d zero = zero."
    yield "Hypothesis d_plus : forall u v, d (plus u v) = plus (d u) (d v)."
    yield "Hypothesis d_scale : forall c u, d (scale c u) = scale c (d u)."
    hints = ["d_zero", "d_plus", "d_scale"]
    if applied(program):
        hints.append("emami2021implicit_lemma_B1_chain")
        yield f"Hypothesis {hints[-1]} : forall f k u, d (act f k u) = times (act f (S k) u) (d u)."
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


def _weights(writer: Writer) -> Iterator[str]:
    """The weight of a lag."""
    response = writer.output(sp.Symbol(MARK + OUTPUT.name))
    yield "(* (21): the weight of a lag, the same for all rows; the times of the impulses do not matter. *)"
    yield f"Definition rho (j : nat) : R := E ({response} 0 (impulse 0) j) ({response} 0 (impulse 1) j)."


def _response(writer: Writer, parameter: Parameter, name: str) -> str:
    own = perturbation(writer, parameter) if parameter.trainable else None
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
