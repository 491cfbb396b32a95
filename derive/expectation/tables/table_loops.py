"""The text of loops that sum tables over the lanes of a chunk of columns, for the sweeps that are written as text.

A row contracts the core with its basis once, for all columns. Over the lanes of a chunk, two orders of Clenshaw's sum
at a time, all terms of their rank in one pass: the bases of the columns stay in the first cache, and the lanes are
vectors; beyond sixteen terms, the others are summed before, four a pass. The derivative
by the covariance takes the same products (`derive.expectation.tables.covariance_slopes`).
"""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive.expectation.swept_means import Slot

RANKS, WHOLE = (4, 6, 8, 10, 12, 14, 16), (14, 16)
"""Terms summed in one pass, and those after which others have been summed."""


def contracted(prefix: str) -> list[str]:
    """Lines that contract the cores with the bases of rows start to stop, at all steps: `PREFIX_terms`."""
    both = [_shares(prefix, count) for count in (4, 2)]
    return CONTRACTED.format(p=prefix, four=both[0], two=both[1]).splitlines()


def _shares(prefix: str, count: int) -> str:
    """Lines that add so many terms of a row's basis."""
    loads = [f"s{n} = {prefix}_rows[i, at, e, 5 + m + {n}]" for n in range(count)]
    lines = [
        *loads,
        "for n in range(taken):",
        f"    whole[n] += {' + '.join(f's{n} * core[m + {n}, n]' for n in range(count))}",
    ]
    return "\n".join("                " + line for line in lines)


def summed(n: int, slot: Slot, covariance: str, lanes: bool = True) -> list[str]:
    """Lines that write an expectation from the covariances `work[covariance]`, of `swept_means.Loaded` at a step.

    Without `lanes` there is one column, and the terms are added one by one.
    """
    sloped = slot.slope is not None
    passes = [
        *_others(),
        *(line for rank in RANKS for line in _pass(rank, False, sloped)),
        *(line for rank in WHOLE for line in _pass(rank, True, sloped)),
    ] if lanes else _one_by_one(sloped)  # fmt: skip
    parts = {"e": n, "c": covariance, "value": WORK + slot.value, "slope": WORK + (slot.slope or 0)}
    filled = {name: text.format(**parts) if sloped else "" for name, text in SLOPED.items()}
    whole = SUMMED.format(**parts, passes="\n".join("        " + line for line in passes), **filled)
    return [line for line in whole.splitlines() if line.strip()]


def _others() -> list[str]:
    """Lines that sum the terms beyond those of the last pass, four at a time."""
    lines = []
    for head, how in (("range(head, min(rank, head + 4), 4)", "="), ("range(head + 4, rank, 4)", "+=")):
        lines += [f"for n in {head}:", *(f"    {line}" for line in _terms(4, "n + "))]
        lines += ["    for j in range(width):", *(f"        {line}" for line in _columns(4, "n + "))]
        lines += [f"        work[{to}, j] {how} {_sum(name, 4)}" for to, name in ((HIGH, "d"), (LOW, "e"))]
    return lines


def _pass(rank: int, others: bool, sloped: bool) -> list[str]:
    """Lines that take two orders of the sum, and of its derivative, by so many terms and what others come to."""
    high, low = (f"{_sum(name, rank)}{f' + work[{to}, j]' if others else ''}" for name, to in (("d", HIGH), ("e", LOW)))
    body = [*_columns(rank), *_orders(high, low, sloped)]
    head = [f"if head == {rank} and rank {'>' if others else '=='} head:", *(f"    {line}" for line in _terms(rank))]
    return [*head, "    for j in range(width):", *(f"        {line}" for line in body)]


def _one_by_one(sloped: bool) -> list[str]:
    """Lines that take two orders of the sum, and of its derivative, term by term."""
    return [*ONE_BY_ONE.splitlines(), *(f"    {line}" for line in _orders("high", "low", sloped))]


def _orders(high: str, low: str, sloped: bool) -> list[str]:
    """Lines of Clenshaw's sum for two orders of these terms."""
    body = [
        "twice, last = work[7, j], work[0, j]",
        f"middle = {high} + (twice * last - work[1, j])",
        "work[1, j] = middle",
        f"work[0, j] = {low} + (twice * middle - last)",
    ]
    if sloped:
        body += [
            "turning = work[2, j]",
            "turned = last + (twice * turning - work[3, j])",
            "work[3, j] = turned",
            "work[2, j] = middle + (twice * turned - turning)",
        ]
    return body


def _terms(count: int, start: str = "") -> list[str]:
    return [f"{name}{n} = terms[{order} + {start}{n}]" for n in range(count) for name, order in ORDERS]


def _columns(count: int, start: str = "") -> list[str]:
    return [f"b{n} = column_table[at + {start}{n}, skip + j]" for n in range(count)]


def _sum(name: str, count: int) -> str:
    return " + ".join(f"{name}{n} * b{n}" for n in range(count))


def started(slots: Sequence[Slot]) -> list[str]:
    """Lines that make room for the tables of one sequence, `swept_means.Whole`, its variances and its columns."""
    return STARTED.format(count=len(slots)).splitlines()


def at_time(slots: Sequence[Slot], row: str, column: str) -> list[str]:
    """Lines that work out what a sequence contributes at time t, where its variances are so many letters of each side.

    Not a number where one is outside the range of the tables.
    """
    places = [(row.format(slot.row), column.format(slot.column)) for slot in slots]
    read = [f"variances[{side}, {e}] = {place}" for e, both in enumerate(places) for side, place in enumerate(both)]
    return [*read, *AT_TIME.splitlines()]


WORK, HIGH, LOW = 9, 4, 5
"""Rows of lanes of the array `work`, one so that a loop asks once whether what it writes is what it reads: two orders
of Clenshaw's sum, two of its derivative, what terms beyond a pass come to, w, 2 y and the derivative of 2 y;
then the expectations of a step, and letters."""
ORDERS = (("d", "upper"), ("e", "lower"))

CONTRACTED = """{p}_rows, {p}_columns, {p}_cores, {p}_shapes, {p}_layers = {p}_tables
{p}_terms = np.zeros((stop - start, *{p}_shapes.shape[:2], {p}_cores.shape[3]))
for i in range(start, stop):
    for at in range({p}_shapes.shape[0]):
        for e in range({p}_shapes.shape[1]):
            shape, whole = {p}_shapes[at, e], {p}_terms[i - start, at, e]
            core = {p}_cores[e, shape[0]]
            taken = (shape[1] + shape[2]) * (core.shape[1] // (2 * {p}_shapes.shape[2] - 8))
            for m in range(0, shape[3] - 3, 4):
{four}
            for m in range(shape[3] - shape[3] % 4, shape[3], 2):
{two}"""

ONE_BY_ONE = """for j in range(width):
    high = low = 0.0
    for n in range(rank):
        high += terms[upper + n] * column_table[at + n, skip + j]
        low += terms[lower + n] * column_table[at + n, skip + j]"""

STARTED = """sides, ends, cores, all_shapes, all_layers = tables
variances, values = np.empty((2, {count})), np.empty((2, {count}, 2 + sides.shape[2]))
columns = np.empty((steps, {count} * values.shape[2], 1))
all_terms, row_table = np.empty(({count}, cores.shape[2])), values[0]"""

AT_TIME = """for e in range(variances.shape[1]):
    least, most, softening, first, last = ends[e]
    for side in range(2):
        variance, series, value = variances[side, e], sides[side, e], values[side, e]
        if not least <= variance <= most:
            variance = math.nan
        value[0], value[1] = 1.0 / math.sqrt(softening + variance), variance / (softening + variance)
        twice = 2.0 * (2.0 * math.log(softening + variance) - first - last) / (last - first)
        for m in range(series.shape[0]):
            one = two = 0.0
            for order in range(series.shape[1] - 1, 0, -1):
                one, two = series[m, order] + twice * one - two, one
            value[2 + m] = series[m, 0] + 0.5 * twice * one - two
    for m in range(values.shape[2]):
        columns[t, e * values.shape[2] + m, 0] = values[1, e, m]
    for n in range(cores.shape[2]):
        whole = 0.0
        for m in range(cores.shape[1]):
            whole += values[0, e, 5 + m] * cores[e, m, n]
        all_terms[e, n] = whole"""

SLOPED = {
    "turn": """
    work[8, j] = 4.0 * (1.0 + layer) * within * scaled * over * inverse * shift * column_table[at - 5, skip + j]""",
    "plain": """
    work[{slope}, j] = slope * column_table[at - 2, skip + j]""",
    "begin": """
        work[2, j] = 0.0
        work[3, j] = 0.0""",
    "end": """
        rate = shift * column_table[at - 5, skip + j] * (2.0 * scaled if parity == 0 else 3.0 * scaled * scaled)
        turned = work[2, j] - 0.5 * (work[1, j] + work[7, j] * work[3, j])
        work[{slope}, j] += rate * value + power * turned * work[8, j]""",
}
"""The lines of the derivative by the covariance."""

SUMMED = """terms, shape, at = all_terms[{e}], all_shapes[{e}], {e} * (column_table.shape[0] // all_shapes.shape[0]) + 5
shift, part, mean, slope = row_table[{e}, 0], row_table[{e}, 1], row_table[{e}, 2], row_table[{e}, 3]
layer, wide = all_layers[{e}], column_table.shape[0] // all_shapes.shape[0] - 5
for j in range(width):
    scaled = work[{c}, j] * shift * column_table[at - 5, skip + j]
    widest = part * column_table[at - 4, skip + j]
    least = math.sqrt(1.0 - widest)
    root = math.sqrt(1.0 - min(scaled * scaled, widest))
    turned, within = root - least, layer * max(1.0 - least, 1e-300)
    inverse = 1.0 / ((turned + within) * root)
    over = inverse * root
    work[6, j] = scaled
    work[7, j] = 2.0 - 4.0 * (1.0 + layer) * turned * over{turn}
    work[{value}, j] = mean * column_table[at - 3, skip + j]
    work[{value}, j] += slope * column_table[at - 2, skip + j] * work[{c}, j]{plain}
for parity in range(2):
    lowest, count = parity * shape[1], shape[1 + parity]
    if count == 0:
        continue
    for j in range(width):
        work[0, j] = 0.0
        work[1, j] = 0.0{begin}
    for k in range(lowest + count - 1, lowest, -2):
        rank, upper, lower = shape[4 + k // 2], k * wide, k * wide - wide
        head = rank if rank <= 16 else 16 - rank % 4
{passes}
    for j in range(width):
        scaled = work[6, j]
        power = scaled * scaled if parity == 0 else scaled * scaled * scaled
        value = work[0, j] - 0.5 * work[7, j] * work[1, j]
        work[{value}, j] += power * value{end}"""
