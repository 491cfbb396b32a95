"""Runs mutants: each in a process forked before the engine was imported, on the quantities that reach its place."""

from __future__ import annotations

import ast
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import select
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tests.mutants import scaling
from tests.mutants.mutations import SCALED, SHOWN, WIDENED, Mutant, mutants, mutated, path_of
from tests.mutants.targets import CHOICES, MODULES, OUTSIDE_PROOFS, WEIGHTS

for _name in ("sympy", "mpmath", "pytest", "scipy.integrate", "scipy.special", "scipy.stats", "hypothesis"):
    importlib.import_module(_name)  # once, before the forks: what takes long to import and is never mutated
CLOSE = {"rtol": 1e-8, "atol": 1e-12, "equal_nan": True}
LIMIT = 25.0
"""Seconds of computing that one quantity may take with a mistake in it, besides five times its own."""
BUDGET = 2.0
"""Seconds of quantities, by their time without a mistake and traced, that a mutant is tried on; two at least."""

ENOUGH = 3
"""Quantities that refuse, and none that changes unseen, make a mutant caught; oracles come first, one is enough."""
CLOSED_FORM = " expr"
"""Ends the label of what `formula.expr` gives beside the compiled function."""
FEW = 40
"""Calls of one function that are traced, line by line."""


@dataclass
class Known:
    """A quantity without a mistake: its numbers, what it costs, and the lines it runs, by module."""

    is_oracle: bool
    cost: float
    numbers: dict[str, Any]
    lines: dict[str, set[int]]


@dataclass
class Outcome:
    """What became of a mutant.

    caught: whatever number changed, its derivation or verify() complained; caught by oracle: a definition refused it
    where no proof speaks; timeout: it did not end; harmless: no number changed; survivor: `changed` numbers passed;
    not reached: no quantity runs its place; void: nothing there was a number.
    """

    mutant: Mutant
    result: str
    changed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def room(self) -> str:
        """Where the mistake is: in a rule, a definition, a table, an emitter, an evaluator."""
        return room_of(self.mutant)


def room_of(mutant: Mutant) -> str:
    return "rule" if mutant.scope == "rule" else MODULES[mutant.module]


def is_outside_proofs(mutant: Mutant) -> bool:
    """Whether no proof states the numbers of its place, so that an oracle by definition may catch it."""
    return room_of(mutant) in OUTSIDE_PROOFS or mutant.id.startswith(CHOICES)


# ---- one process per mutant ---------------------------------------------------------------------------
class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module with a mistake."""

    tree: ast.Module

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, tree: ast.Module) -> None:
        self.module, self.tree = module, tree

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(fullname, spec.origin)
        loader.tree = self.tree
        return importlib.util.spec_from_file_location(fullname, spec.origin, loader=loader)


def forked(work: Callable[[Callable[[Any], None]], None]) -> tuple[int, int]:
    """Run `work(tell)` in a child; what it tells comes as lines of JSON through the returned descriptor."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    os.close(read)
    warnings.simplefilter("ignore")
    with os.fdopen(write, "w") as pipe, open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)

        def tell(what: Any) -> None:
            pipe.write(json.dumps(what) + "\n")
            pipe.flush()

        try:
            work(tell)
        except BaseException as error:
            tell(["import", "complaint", f"{type(error).__name__}: {error}"[:300]])
    os._exit(0)


def try_mutant(mutant: Mutant, names: Sequence[str], known: dict[str, Known], tell: Callable[[Any], None]) -> None:
    """In a child: put the mistake in place, import the engine, and compare what is derived with what is known."""
    setattr(builtins, SCALED, scaling.scaled)
    setattr(builtins, WIDENED, scaling.widened)
    _forget_the_engine()
    sys.meta_path.insert(0, _Finder(mutant.module, mutated(mutant)))
    from tests.mutants.quantities import items

    signal.signal(signal.SIGPROF, _too_long)
    run = {item.name: item.run for item in items()}
    refusals, unseen = 0, False
    for index, name in enumerate(names):
        late = known[name].is_oracle and not all(known[x].is_oracle for x in names[:index])
        if late != unseen:  # further oracles are for what changed a number unseen, and for nothing else
            continue
        signal.setitimer(signal.ITIMER_PROF, LIMIT + 5 * known[name].cost)
        result, text = _judged(run[name], known[name])
        signal.setitimer(signal.ITIMER_PROF, 0)
        tell([name, result, text])
        refusals += result in ("complaint", "timeout")
        unseen |= result == "changed"
        if refusals == ENOUGH or (refusals and known[name].is_oracle):
            break
    tell(["applied", str(bool(scaling.applied)), ""])


def _forget_the_engine() -> None:
    """Another test may have imported it before the fork."""
    for name in [x for x in sys.modules if x.split(".")[0] == "wideproof" or x == "tests.mutants.quantities"]:
        del sys.modules[name]


class _TooLongError(BaseException):
    """Not an Exception: rules turn those into refusals."""


def _too_long(*_: Any) -> None:
    raise _TooLongError


def _judged(run: Callable[[], Any], known: Known) -> tuple[str, str]:
    try:
        numbers, proofs = run()
        change = "" if known.is_oracle else difference(known.numbers, numbers)
        for proof in proofs:
            proof.verify()
    except _TooLongError:
        return "timeout", ""
    except Exception as error:
        return "complaint", f"{type(error).__name__}: {str(error)[:160]}"
    return ("changed", change) if change else ("same", "")


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first number that changed, in words; empty where none did.

    A closed form that is not found is none of them, as long as the numbers of the recurrence are there.
    """
    if any(not label.endswith(CLOSED_FORM) for label in set(before) ^ set(after)):
        return f"numbers of {sorted(before)} became those of {sorted(after)}"
    for label in sorted(set(before) & set(after)):
        old, new = (np.asarray(x[label], dtype=float) for x in (before, after))
        if old.shape != new.shape:
            return f"{label}: shape {old.shape} became {new.shape}"
        wrong = ~np.isclose(new, old, **CLOSE)
        if wrong.any():
            at = np.unravel_index(int(np.argmax(wrong)), old.shape)
            return f"{label}[{', '.join(map(str, at))}]: {old[at]:.9g} became {new[at]:.9g}"
    return ""


# ---- what reaches what --------------------------------------------------------------------------------
def measured(keep: Callable[[str], bool] = lambda name: True) -> dict[str, Known]:
    """Every quantity without a mistake; a child each, so that no cache hides what it runs."""
    found = {}
    ((_, told),) = in_parallel([("", lambda tell: _measure(keep, tell))], 3600.0)
    for name, is_oracle, cost, numbers, lines in told:
        if isinstance(cost, str):
            raise RuntimeError(f"{name} fails without any mistake: {cost}")
        arrays = {k: np.array(v) for k, v in numbers.items()}
        found[name] = Known(is_oracle, cost, arrays, {k: set(v) for k, v in lines.items()})
    return found


def _measure(keep: Callable[[str], bool], tell: Callable[[Any], None]) -> None:
    """In a child that has imported all modules, so that only calls are traced: one child more for each quantity."""
    _forget_the_engine()
    for module in (*MODULES, "wideproof.derive.audit"):
        importlib.import_module(module)
    from tests.mutants.quantities import items

    files = {str(path_of(module)): module for module in MODULES}
    work = [(x.name, lambda tell, x=x: tell(_traced(x, files))) for x in items() if keep(x.name)]
    for name, told in in_parallel(work, 900.0):
        tell([name, *told[0]])


def _traced(item: Any, files: dict[str, str]) -> tuple[bool, Any, Any, Any]:
    """Whether it is an oracle, cost, numbers, lines; what is called often is traced at its first calls only."""
    lines: dict[str, set[int]] = {}
    calls: Counter[CodeType] = Counter()
    start = time.process_time()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        module = files.get(frame.f_code.co_filename)
        if module is None:
            return None
        calls[frame.f_code] += 1
        if calls[frame.f_code] > FEW:
            return None
        seen = lines.setdefault(module, set())
        seen.add(frame.f_lineno)

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            seen.add(frame.f_lineno)
            return local

        return local

    sys.settrace(trace)
    try:
        numbers, proofs = item.run()
        for proof in proofs:
            proof.verify()
    except Exception as error:
        return item.is_oracle, repr(error), {}, {}
    finally:
        sys.settrace(None)
    plain = {k: np.asarray(v, dtype=float).tolist() for k, v in numbers.items()}
    return item.is_oracle, time.process_time() - start, plain, {k: sorted(v) for k, v in lines.items()}


def reaching(mutant: Mutant, known: dict[str, Known]) -> list[str]:
    """The quantities that run the place of a mutant, as many as the budget holds.

    Where oracles count, some come first, and all others last: the resort before a mutant is called a survivor.
    """
    place = set(range(mutant.line, mutant.end + 1))
    reached = [name for name, x in known.items() if place & x.lines.get(mutant.module, set())]
    if mutant.scope == "table":  # it ran when the module was imported: what runs any line of that module
        reached = [name for name, x in known.items() if mutant.module in x.lines]
    random.Random(mutant.id).shuffle(reached)
    oracles = [x for x in reached if known[x].is_oracle] if is_outside_proofs(mutant) else []
    first, quantities = _affordable(oracles, known), _affordable([x for x in reached if not known[x].is_oracle], known)
    return [*first, *quantities, *(x for x in oracles if x not in first and quantities)]


def _affordable(names: list[str], known: dict[str, Known]) -> list[str]:
    spent = np.cumsum([0.0, *(known[name].cost for name in names)])
    return [name for index, name in enumerate(names) if index < 2 or spent[index] <= BUDGET]


# ---- all of them --------------------------------------------------------------------------------------
def run(chosen: Sequence[Mutant], known: dict[str, Known], progress: Callable[[Outcome], None]) -> list[Outcome]:
    """The outcomes, in the order of the mutants."""
    tried = {mutant.id: (mutant, reaching(mutant, known)) for mutant in chosen}
    work = [
        (id_, lambda tell, m=mutant, names=names: try_mutant(m, names, known, tell))
        for id_, (mutant, names) in tried.items()
        if names
    ]
    found = {id_: Outcome(mutant, "not reached") for id_, (mutant, names) in tried.items() if not names}
    try:
        for id_, told in in_parallel(work, 240.0):
            found[id_] = outcome_of(tried[id_][0], told)
            progress(found[id_])
    except KeyboardInterrupt:
        print("interrupted: the table is of those that ended")
    return [found[id_] for id_ in tried if id_ in found]


def outcome_of(mutant: Mutant, told: Sequence[Any]) -> Outcome:
    """What the lines of a child amount to."""
    of = {kind: [f"{name}: {text}" for name, k, text in told if k == kind] for kind in ("changed", "complaint")}
    by_oracle = any(k == "complaint" and " in " in name and name.startswith("test_") for name, k, _ in told)
    found = Outcome(mutant, "harmless", of["changed"], of["complaint"])
    ended = any(name == "applied" for name, *_ in told)
    if ["applied", "False", ""] in [list(x) for x in told] and any(
        x in mutant.change.partition("→")[2] for x in SHOWN.values()
    ):
        found.result = "void"
    elif by_oracle and is_outside_proofs(mutant):
        found.result = "caught by oracle"
    elif of["changed"]:
        found.result = "survivor"
    elif of["complaint"]:
        found.result = "caught"
    elif not ended or any(k == "timeout" for _, k, _ in told):
        found.result = "timeout"
    return found


def in_parallel(work: Sequence[tuple[str, Any]], limit: float) -> Iterator[tuple[str, list[Any]]]:
    """What each child told, two children at a time; one that outlives the limit is ended."""
    waiting, live = list(reversed(work)), {}
    try:
        while waiting or live:
            while waiting and len(live) < 2:
                name, job = waiting.pop()
                pid, descriptor = forked(job)
                live[descriptor] = (name, pid, time.monotonic(), bytearray())
            ready, _, _ = select.select(list(live), [], [], 1.0)
            for descriptor, (name, pid, start, text) in list(live.items()):
                late = time.monotonic() - start > limit
                more = os.read(descriptor, 1 << 16) if descriptor in ready else None
                text += more or b""
                if late or more == b"":
                    _end(descriptor, pid)
                    del live[descriptor]
                    yield name, [json.loads(x) for x in text.decode().rpartition("\n")[0].splitlines()]
    finally:
        for descriptor, (_, pid, *_) in live.items():
            _end(descriptor, pid)


def _end(descriptor: int, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # nothing, where it has ended
    os.waitpid(pid, 0)
    os.close(descriptor)


def sample(count: int, seed: int) -> list[Mutant]:
    """Mutants of every room by its weight, function after function, the kinds in turn; all of them for count 0."""
    every = [mutant for module in MODULES for mutant in mutants(module)]
    if not count:
        return every
    rng, rooms = random.Random(seed), {}
    for mutant in every:
        rooms.setdefault(room_of(mutant), {}).setdefault((mutant.module, mutant.function), []).append(mutant)
    chosen: list[Mutant] = []
    for room, functions in sorted(rooms.items()):
        chosen += _in_turn(list(functions.values()), count * WEIGHTS[room] // sum(WEIGHTS.values()), rng)
    return rng.sample(chosen, len(chosen))


def _in_turn(functions: list[list[Mutant]], share: int, rng: random.Random) -> list[Mutant]:
    """One mutant of each function, then a second, ...; of its kinds the rarest so far."""
    seen: dict[str, int] = {}
    chosen: list[Mutant] = []
    rng.shuffle(functions)
    left = [rng.sample(x, len(x)) for x in functions]
    while len(chosen) < share and any(left):
        for group in left:
            if group and len(chosen) < share:
                pick = min(group, key=lambda m: seen.get(m.kind, 0))
                group.remove(pick)
                seen[pick.kind] = seen.get(pick.kind, 0) + 1
                chosen.append(pick)
    return chosen
