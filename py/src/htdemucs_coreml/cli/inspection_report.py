"""What ``inspect`` prints for people."""

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from htdemucs_coreml.cli.terminal_text import printable

_WIDTH = 118
_GAP = 2
_BLOCKS = 6
_EFFECTS = {"elsewhere": "run elsewhere", "slower": "are slower", "larger": "take more memory"}
_HEADINGS = ("block", "operations", "casts", "float32", "float16", "share", "stored", "unpacked", "memory")
# Columns that a heading of their own stands over: first and last.
_GROUPS = ((3, 5, "multiply-adds (M)"), (6, 7, "constants (kB)"), (8, 8, "(MB)"))


def report(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that describe a package's figures; see `inspection.figures`."""
    yield from _summary(figures)
    yield ""
    yield from _blocks(figures)
    yield ""
    yield from _types(figures)
    yield ""
    yield from _constants(figures["largest_constants"])
    yield ""
    yield from _neural_engine(figures)


def _summary(figures: Mapping[str, Any]) -> Iterator[str]:
    peak, allowed = figures["peak_memory"], figures["design_memory_bytes"]
    multiply_adds = f"{figures['multiply_adds'] / 1e9:.1f} G a segment"
    if figures["float16_share"] is not None:
        multiply_adds += f", {_percent(figures['float16_share'])} in float16"
    constants = f"{figures['constant_bytes'] / 1e6:.2f} MB"
    if figures["unpacked_constant_bytes"] != figures["constant_bytes"]:
        constants += f", {figures['unpacked_constant_bytes'] / 1e6:.2f} MB unpacked"
    yield f"operations         {figures['operations']}, {figures['casts']} of them casts"
    yield f"multiply-adds      {multiply_adds}"
    yield f"package            {figures['bytes'] / 1e6:.2f} MB"
    yield f"constants          {constants}"
    yield (
        f"activation memory  {peak['bytes'] / 1e6:.1f} MB at most, {_percent(peak['bytes'] / allowed)} of the "
        f"{allowed / 1e9:.0f} GB that the design allows"
    )
    yield f"                   in {printable(peak['operation'])}"


def _blocks(figures: Mapping[str, Any]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for block, costs in (*figures["blocks"].items(), ("in total", figures)):
        counts = costs["multiply_adds_by_dtype"]
        rows.append(
            (
                printable(block),
                f"{costs['operations']}",
                f"{costs['casts']}",
                *(f"{counts.get(dtype, 0) / 1e6:,.0f}" for dtype in ("float32", "float16")),
                "" if costs["float16_share"] is None else _percent(costs["float16_share"]),
                *(f"{costs[key] / 1e3:,.1f}" for key in ("constant_bytes", "unpacked_constant_bytes")),
                f"{costs['peak_memory']['bytes'] / 1e6:,.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = [end - _GAP for end in itertools.accumulate(width + _GAP for width in widths)]
    groups = ""
    for first, last, heading in _GROUPS:
        start = ends[first] - widths[first]
        groups += " " * (start - len(groups)) + heading.center(ends[last] - start)
    yield groups.rstrip()
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield (" " * _GAP).join(cells).rstrip()


def _types(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "operations by type"
    yield from _wrapped(f"{printable(name)} {count}" for name, count in figures["operations_by_type"].items())
    yield "operations by element type"
    yield from _wrapped(f"{name} {count}" for name, count in figures["operations_by_dtype"].items())
    yield "multiply-adds by operation and element type"
    yield from _wrapped(f"{name} {count:,}" for name, count in figures["multiply_adds_by_type"].items())


def _constants(constants: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "largest constants"
    for constant in constants:
        how = f", {constant['unpacked_bytes']:,} B unpacked" if constant["unpacked_by"] else ""
        yield f"  {constant['bytes']:>13,} B  {printable(constant['name'])}  {constant['type']}{how}"


def _neural_engine(figures: Mapping[str, Any]) -> Iterator[str]:
    engine = figures["neural_engine"]
    yield "rules of the Neural Engine (docs/inspect.md)"
    share = f", {_percent(engine['multiply_adds_within'] / figures['multiply_adds'])} of the multiply-adds"
    yield (
        f"  {engine['operations_within']} operations{share if figures['multiply_adds'] else ''}"
        " break no uncontested rule that sends them elsewhere"
    )
    for rule in engine["rules"]:
        if rule["operations"]:
            yield from _broken(rule)
    kept = ", ".join(rule["id"] for rule in engine["rules"] if not rule["operations"])
    yield from textwrap.wrap(f"kept: {kept}", _WIDTH, initial_indent="  ", subsequent_indent="    ")


def _broken(rule: Mapping[str, Any]) -> Iterator[str]:
    origin = {"Apple": "says Apple", "users": "report users"}[rule["origin"]]
    contested = ", contested" if rule["contested"] else ""
    yield f"  {rule['id']}: {rule['operations']} operations {_EFFECTS[rule['effect']]} ({origin}{contested})"
    blocks = [f"{printable(block)} {count}" for block, count in rule["blocks"].items()]
    more = [f"and {len(blocks) - _BLOCKS} blocks more"] if len(blocks) > _BLOCKS else []
    for text in (
        rule["statement"],
        "in " + ", ".join((*blocks[:_BLOCKS], *more)),
        "first " + ", ".join(map(printable, rule["first"])),
    ):
        yield from textwrap.wrap(
            text, _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6, break_long_words=False
        )
    for source in rule["sources"]:
        yield f"    {source}"


def _wrapped(items: Iterator[str]) -> list[str]:
    """Items in lines, none of them torn."""
    text = "  ".join(item.replace(" ", "\0") for item in items)
    lines = textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    return [line.replace("\0", " ") for line in lines]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
