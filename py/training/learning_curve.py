"""A run's log as a picture: loss, and the validation songs' SDR by stem, over steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from htdemucs_coreml.charts import chart_file


def write_learning_curve(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Draw a learning curve as SVG or PNG.

    Raises
    ------
    ChartError
        If the file has another ending or cannot be written.
    """
    progress = [record for record in records if record["kind"] == "progress"]
    validations = [record for record in records if record["kind"] == "validation"]
    with chart_file(path, (9.0, 3.6)) as figure:
        losses, scores = figure.subplots(1, 2)
        losses.plot([record["step"] for record in progress], [record["loss"] for record in progress], linewidth=0.8)
        losses.set(title="Loss on training examples", xlabel="step")
        stems = validations[0]["stems"] if validations else {}
        steps = [record["step"] for record in validations]
        for stem in stems:
            scores.plot(steps, [record["stems"][stem]["sdr_db"] for record in validations], label=stem, linewidth=1.0)
        scores.plot(
            steps, [record["mean_sdr_db"] for record in validations], label="mean", color="black", linewidth=1.6
        )
        scores.set(title="Median SDR of validation songs, dB", xlabel="step")
        scores.legend(fontsize="small", frameon=False)
