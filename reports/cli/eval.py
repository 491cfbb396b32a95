"""The verb `eval`: a derived formula as numbers, or a kernel of sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from wideproof.derive.emit.derivation import Derivation, Progress
from wideproof.derive.emit.formula import first_infinite
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ParameterError, TooLarge
from wideproof.derive.language.program import Program
from wideproof.derive.memory_horizon.memory import Memory
from wideproof.derive.referee.quantities import named, quantity_named
from wideproof.derive.width_expansion.correction_formula import CorrectionFormula
from wideproof.reports.cli.console import Stages, out, print_json, table
from wideproof.reports.cli.models import Model, any_model_with
from wideproof.reports.cli.quantities import completed
from wideproof.reports.cli.symbols import Json, demand, needed, parameters

if TYPE_CHECKING:
    from wideproof.numeric.kernels.kernel import KernelValue

LAGS, FINITE_LAGS = 10, 4
WIDTH = "ntk-width"
WIDEST = 8  # columns of a kernel that a terminal still shows well
Readout = Literal["all", "last", "average"]


def eval_command(
    context: typer.Context,
    model: Model,
    quantity: Annotated[
        str,
        typer.Argument(
            metavar="QUANTITY",
            help="A quantity in the lag, such as scale-factors; a number, such as stability; nngp, ntk with --inputs; "
            f"with --width, {', '.join(named('lag'))}; ntk-width, how wide a net must be; {', '.join(named('step'))}; "
            f"of an alternating program, {', '.join(named(kind=AlternatingProgram))}.",
            autocompletion=lambda: [*completed("", "lag", "step"), (WIDTH, "How wide a net must be.")],
        ),
    ],
    lags: Annotated[
        int | None, typer.Option(min=1, help="Evaluate at the lags 0 … LAGS-1; 10 if left out, at finite width 4.")
    ] = None,
    width: Annotated[int | None, typer.Option(min=1, help="The width n of a quantity at finite width.")] = None,
    step: Annotated[
        int | None,
        typer.Option(min=0, help="The step of a correction of order 1/n; 1, of layered nets 0, if left out."),
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Sequences of a kernel: an array (N, T, n_x) or (T, n_x) as .npy, several as .npz, or one sequence as "
            ".csv or another table, a row a step. May be given again.",
        ),
    ] = None,
    readout: Annotated[
        Readout, typer.Option(help="Of a kernel: all steps (N, T, N, T), the last one (N, N), or their average (N, N).")
    ] = "all",
    as_json: Json = False,
) -> None:
    """Evaluate a derived formula, or a kernel of sequences with its error; symbols are options, such as --nu-W 0.3.

    memory is evaluated where the recursion settles, at inputs of size --X, unless the moments are given, as --q 0.4.

    Examples: [b]wideproof eval linear-rnn scale-factors --nu-W 0.3 --nu-F 1 --nu-C 1 --lags 5[/b],
    [b]wideproof eval linear-rnn stability --nu-W 0.81 --nu-F 1 --nu-C 1[/b],
    [b]wideproof eval linear-rnn second-moment --width 4 --lags 6 --nu-W 1 --nu-F 1 --nu-C 1[/b],
    [b]wideproof eval linear-rnn ntk-width --lags 3 --tolerance 0.2 --failure 0.05 --nu-W 0.3 --nu-F 1 --nu-C 1[/b],
    [b]wideproof eval elman nngp-correction --bias false --step 2 --X 1 --nu-W 1 --nu-F 1 --nu-C 1[/b],
    [b]wideproof eval ./my_rnn.py:rnn ntk --nu-W 0.3 --inputs sequences.npy --readout last[/b],
    [b]wideproof eval amp state-evolution --steps 1 --delta 0.5 --epsilon 0.1 --nu-w 0.01 --theta-0 0.5[/b]
    """
    program = any_model_with(context, model).program()
    asked = Asked(context, program, quantity, as_json, lags, width, step, tuple(inputs or ()), readout)
    way = asked.way()
    asked.refuse_but(way.takes)
    way.tell(asked)


@dataclass(frozen=True)
class Asked:
    """What is to be evaluated, and at what."""

    context: typer.Context
    program: Program
    quantity: str
    as_json: bool
    lags: int | None
    width: int | None
    step: int | None
    inputs: tuple[Path, ...]
    readout: Readout

    @property
    def told(self) -> str:
        """The quantity and the model, in words."""
        return f"{self.quantity} of {self.program.name}"

    @property
    def given(self) -> list[str]:
        """The options that not every quantity takes, as far as they are given."""
        found = {"lags": self.lags, "width": self.width, "step": self.step, "inputs": self.inputs or None}
        return [name for name, value in found.items() if value is not None] + ["readout"] * (self.readout != "all")

    def derived(self, lag: int | None = None, step: int | None = None, progress: Progress | None = None) -> Derivation:
        """The derivation of the quantity, at a lag or a step.  Errors: those of the quantity."""
        return quantity_named(self.quantity, type(self.program))(self.program, lag, step, progress)

    def way(self) -> Way:
        """How the quantity is evaluated.  Errors: ParameterError for one that the kind of the program has not."""
        kind = type(self.program)
        if self.quantity == WIDTH and kind is Program:
            return ADVICE
        known = quantity_named(self.quantity, kind)
        usual = WAYS[kind, known.argument]
        return OF_INPUTS.get((kind, known.name), usual) if {"inputs", "readout"} & {*self.given} else usual

    def refuse_but(self, takes: tuple[str, ...]) -> None:
        """Do nothing where only these options are given.  Errors: ParameterError."""
        for name in self.given:
            if name not in takes:
                expected, hint = WANT[name]
                value = f" {self.lags}" if name == "lags" else ""
                hint = f"Leave --{name}{value} out{hint}." + " Write --step, which it is of." * ("step" in takes)
                raise ParameterError(f"eval: --{name}", expected, self.quantity, hint)


def _at_width(asked: Asked) -> None:
    """A quantity of one lag at a width, at several lags."""
    if asked.width is None:
        raise ParameterError(f"eval: {asked.quantity}", "the width it is at", "none", "Write --width 512.")
    values, lags = [], asked.lags or FINITE_LAGS
    with Stages(quiet=asked.as_json) as stages, stages(asked.told) as progress:
        for lag in range(lags):
            formula = asked.derived(lag=lag).formula
            given = needed(asked.context, [name for name in formula.symbols if name != "n"])
            values.append(float(formula.compile("numpy")(n=float(asked.width), **given)))
            progress(lag + 1, lags)
    if asked.as_json:
        print_json({"values": values, "width": asked.width})
    else:
        rows = [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)]
        table(("lag", f"{asked.quantity} at width {asked.width}"), rows)


def _correction(asked: Asked) -> None:
    """The coefficient of 1/n at one step, for the sequence of a file or for inputs that are all the same, of size X."""
    with Stages(quiet=asked.as_json) as stages, stages(asked.told) as progress:
        formula = asked.derived(step=asked.step, progress=progress).formula
        assert isinstance(formula, CorrectionFormula)
        given = needed(asked.context, [*formula.symbols, *(() if asked.inputs else ("X",))])
        gram = _gram_of(asked.inputs) if asked.inputs else given.pop("X") * np.ones((formula.steps, formula.steps))
        value, error = formula.compile().with_error(X=gram, **given)
        progress(1, 1)
    if asked.as_json:
        print_json({"values": [value], "errors": [error]})
    else:
        out.print(f"{value:.12g} / n, error {error:.1g}, estimated")


def _gram_of(inputs: Sequence[Path]) -> np.ndarray[Any, Any]:
    """The inner products of the inputs of one sequence."""
    from wideproof.numeric.recordings.sequences import load_sequences

    sequences = load_sequences(inputs)
    if len(sequences) != 1:
        hint = "A correction is that of one sequence: call it once for each."
        raise ParameterError("eval: --inputs", "one sequence", f"{len(sequences)} sequences", hint)
    return np.asarray(sequences[0] @ sequences[0].T, dtype=np.float64)


def _advised(asked: Asked) -> None:
    """The width from which on all entries of the tangent kernel are near their limits."""
    from wideproof.numeric.linear_rnn.width_advice import width_for

    given = needed(asked.context, [*asked.program.symbols, "tolerance", "failure"])
    with Stages(quiet=asked.as_json) as stages, stages(f"width for {asked.program.name}") as progress:
        found = width_for(asked.program, horizon=asked.lags or FINITE_LAGS, progress=progress, **given)
    if asked.as_json:
        print_json(asdict(found))
    else:
        out.print(found.in_words())


def _lines(asked: Asked) -> None:
    """The limits of an alternating program by name."""
    at = needed(asked.context, list(asked.program.symbols))
    known = asked.derived().formula.listed(**at)
    if asked.as_json:
        print_json({"values": list(known.values()), "names": list(known)})
    else:
        table(("quantity", "limit"), [(name, f"{x:.12g}") for name, x in known.items()])


def _formula(asked: Asked) -> None:
    """A formula in the lag, or a number."""
    quantity, context, derived = asked.quantity, asked.context, asked.derived()
    formula = derived.formula
    lagged = "j" in formula.symbols
    if not lagged and (formula.expr is None or "t" in formula.symbols):
        hint = "Kernels take inputs: --inputs FILE here, wideproof.Kernel in Python; gradients: wideproof.gradients."
        raise ParameterError("eval", "a quantity in the lag j, or a number", quantity, hint)
    if asked.lags and not lagged:
        raise ParameterError("eval: --lags", "a quantity in the lag j", quantity, "It is one number: leave --lags out.")
    read = [name for name in formula.symbols if name != "j"]
    names = [*read, *derived.program.symbols, *(("X",) if isinstance(derived, Memory) else ())]
    given = parameters(context, list(dict.fromkeys(names)))
    if isinstance(derived, Memory) and not _moments_read(derived) <= set(given):
        values = np.array([_settled_horizon(context, derived, given)])
    else:
        demand(context, [name for name in read if formula.reads(name)], given)
        at = {"j": np.arange(asked.lags or LAGS)} if lagged else {}
        nu = dict.fromkeys(read, 1.0) | {name: x for name, x in given.items() if name in read}
        values = np.atleast_1d(formula.compile("numpy")(**at, **nu))  # what it does not contain changes nothing
    if not np.isfinite(values).all() and lagged:
        raise TooLarge(asked.told, first_infinite(values, at["j"]))
    if asked.as_json:
        print_json({"values": list(values)})
    elif lagged:
        table(("lag", quantity), [(str(lag), f"{x:.12g}") for lag, x in enumerate(values)])
    else:
        out.print(f"{values[0]:.12g}")


def _moments_read(derived: Memory) -> set[str]:
    """The moments of the states that the horizon is a formula of."""
    from wideproof.numeric.memory_horizon.fixed_points import letter_of

    letters = {letter_of(derived, name, "q") for name in derived.variance_map}
    return {letter for letter in letters if derived.formula.reads(letter)}


def _settled_horizon(context: typer.Context, derived: Memory, given: Mapping[str, float]) -> float:
    """The horizon where the recursion settles with these variances and inputs of size X, 0 if left out.

    Errors: ParameterError for a missing variance, and where it does not settle.
    """
    from wideproof.numeric.memory_horizon.fixed_points import analyse, letters_read

    free = {"X", *(() if given.get("X") else ("nu_F",)), *_moments_read(derived)}
    demand(context, [name for name in letters_read(derived) if name not in free], given)
    own = {name: x for name, x in given.items() if name not in _moments_read(derived)}
    found = analyse(derived, **own)
    if found.settled is None:
        hint = (
            "wideproof memory MODEL shows all fixed points; give the moments, such as --q 0.4, to evaluate elsewhere."
        )
        raise ParameterError(context.command_path, "variances that settle at a fixed point", found.note or "none", hint)
    return found.settled.horizon


def _kernel(asked: Asked) -> None:
    """A kernel of sequences with itself, and the estimate of the error of each entry."""
    from wideproof.numeric.kernels.kernel import Kernel
    from wideproof.numeric.recordings.sequences import load_sequences

    if not asked.inputs:
        raise ParameterError("eval: --readout", "sequences whose kernel is read", "none", "Add --inputs FILE.")
    nu = needed(asked.context, list(asked.program.symbols))
    sequences = load_sequences(asked.inputs)
    lengths = sorted({len(sequence) for sequence in sequences})
    if asked.readout == "all" and len(lengths) > 1:
        hint = "Take --readout last or average, or sequences of one length."
        raise ParameterError("eval: --inputs", "sequences of one length", f"lengths {lengths}", hint)
    with Stages(quiet=asked.as_json) as stages, stages(asked.told) as progress:
        kernel = Kernel(asked.program, readout=asked.readout, progress=progress, **nu)
        found = kernel.evaluate(asked.quantity, np.stack(sequences) if len(lengths) == 1 else sequences)
    if asked.as_json:
        print_json(_document(asked.quantity, asked.readout, found))
    else:
        _print(asked.quantity, found)


def _document(quantity: str, readout: str, found: KernelValue) -> dict[str, object]:
    return {
        "quantity": quantity,
        "readout": readout,
        "shape": found.value.shape,
        "values": found.value,
        "errors": found.error,
        "stderr": found.stderr,
        "method": found.method,
    }


def _print(quantity: str, found: KernelValue) -> None:
    """The kernel as a square table, sequence by sequence and step by step, as far as it fits."""
    shape = found.value.shape
    labels = list(itertools.product(*map(range, shape[: len(shape) // 2])))
    square = np.reshape(found.value, (len(labels), len(labels)))
    shown = [", ".join(map(str, label)) for label in labels[:WIDEST]]
    rows = [(name, *(f"{x:.8g}" for x in row[:WIDEST])) for name, row in zip(shown, square, strict=False)]
    table((f"{quantity}: sequence{', step' if len(shape) == 4 else ''}", *shown), rows)
    if len(labels) > WIDEST:
        out.print(f"the first {WIDEST} of {len(labels)} rows and columns; --json prints all, of shape {shape}")
    out.print(f"errors of the entries: up to {float(np.max(found.error)):.2g}, estimated; method: {found.method}")


# ---- which quantity is evaluated how --------------------------------------------------------------------
@dataclass(frozen=True)
class Way:
    """A way to evaluate and print a quantity, and the options it takes."""

    tell: Callable[[Asked], None]
    takes: tuple[str, ...] = ()


WAYS = {
    (Program, ""): Way(_formula, ("lags",)),
    (Program, "lag"): Way(_at_width, ("lags", "width")),
    (Program, "step"): Way(_correction, ("step", "inputs")),
    (AlternatingProgram, ""): Way(_lines),
}
"""Kind of programs, and what a quantity is of beside the program -> how it is evaluated."""
OF_INPUTS = {(Program, name): Way(_kernel, ("inputs", "readout")) for name in ("nngp", "ntk")}
ADVICE = Way(_advised, ("lags",))
KERNEL = "nngp or ntk of a Recursion"
WANT = {
    "lags": ("a quantity in the lag j", ""),
    "width": ("a quantity at finite width", f": only {', '.join(named('lag'))} are at a finite width"),
    "step": ("a correction of order 1/n", f": only {', '.join(named('step'))} are of one step"),
    "inputs": (KERNEL, ""),
    "readout": (KERNEL, ""),
}
"""Options -> what takes them, and the end of the hint."""
