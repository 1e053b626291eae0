"""The chart of ``inspect``: what each block costs, and memory over the course of the program."""

from pathlib import Path

from htdemucs_coreml.charts import ChartError, chart_file
from htdemucs_coreml.cli.inspection import DESIGN_MEMORY_BYTES, Inspection
from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.mil.tensor_types import DataType

_COLOURS = {DataType.FLOAT32: "#d1782e", DataType.FLOAT16: "#3b6fb0"}
_STORED, _UNPACKED, _MEMORY = "#5a7d5a", "#c9d8c9", "#8a8a8a"
_INCHES_A_BLOCK = 0.19
_MAXIMUM_BLOCKS = 1000


def write_chart(path: Path, inspection: Inspection) -> None:
    """Draw what was found in a package into a file.

    Raises
    ------
    ChartError
        If there are more blocks than a chart can hold, or the file cannot be written.
    """
    analysis = inspection.analysis
    if len(analysis.blocks) > _MAXIMUM_BLOCKS:
        raise ChartError(f"{path} cannot show {len(analysis.blocks)} blocks; take a smaller --depth")
    upper, lower = 0.8 + _INCHES_A_BLOCK * len(analysis.blocks), 2.2
    with chart_file(path, (12, 0.6 + upper + lower)) as figure:
        grid = figure.add_gridspec(2, 3, height_ratios=(upper, lower))
        blocks = analysis.blocks.values()
        rows = range(len(blocks))

        multiply_adds = figure.add_subplot(grid[0, 0])
        left = [0.0] * len(blocks)
        for dtype, colour in _COLOURS.items():
            counts = [costs.multiply_adds_by_dtype.get(dtype, 0) / 1e9 for costs in blocks]
            multiply_adds.barh(rows, counts, left=left, color=colour, label=dtype.value.lower())
            left = [start + count for start, count in zip(left, counts, strict=True)]
        multiply_adds.set_title("multiply-adds a segment (G)")
        multiply_adds.set_yticks(rows, [printable(block) for block in analysis.blocks])
        multiply_adds.set_ylim(len(blocks) - 0.4, -0.6)
        multiply_adds.legend(frameon=False)

        constants = figure.add_subplot(grid[0, 1], sharey=multiply_adds)
        unpacked = [costs.unpacked_constant_bytes / 1e6 for costs in blocks]
        if analysis.unpacked_constant_bytes != analysis.constant_bytes:
            constants.barh(rows, unpacked, color=_UNPACKED, label="unpacked")
        constants.barh(rows, [costs.constant_bytes / 1e6 for costs in blocks], color=_STORED, label="stored")
        constants.set_title("constants (MB)")
        constants.tick_params(labelleft=False)
        constants.legend(frameon=False)

        peaks = figure.add_subplot(grid[0, 2], sharey=multiply_adds)
        peaks.barh(rows, [costs.peak_memory.bytes / 1e6 for costs in blocks], color=_MEMORY)
        peaks.set_title("activation memory at most (MB)")
        peaks.tick_params(labelleft=False)

        course = figure.add_subplot(grid[1, :])
        held = [held / 1e6 for held in analysis.held_bytes]
        peak = analysis.peak_memory
        course.fill_between(range(len(held)), held, step="mid", color=_MEMORY)
        course.set_title("activation memory during each operation (MB)")
        course.set_xlabel("operations in the order of execution")
        course.set_xlim(0, max(len(held) - 1, 1))
        course.set_ylim(bottom=0)
        if held:
            position = analysis.held_bytes.index(peak.bytes)
            course.annotate(
                f"{peak.bytes / 1e6:.1f} MB, {100 * peak.bytes / DESIGN_MEMORY_BYTES:.1f} % of the design's "
                f"{DESIGN_MEMORY_BYTES / 1e9:.0f} GB",
                (position, peak.bytes / 1e6),
                xytext=(0, 4),
                textcoords="offset points",
                ha="left" if position < len(held) / 2 else "right",
            )

        share = analysis.float16_share
        metadata = inspection.package.metadata
        figure.suptitle(
            printable(
                f"{metadata.model} {metadata.variant}: {analysis.operations} operations, {analysis.casts} casts, "
                f"{sum(analysis.multiply_adds.values()) / 1e9:.1f} G multiply-adds"
            )
            + ("" if share is None else f", {100 * share:.1f} % in float16")
        )
