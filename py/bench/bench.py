"""``just bench``: the interpreter beside PyTorch, as ratios within one run.

Each pair is timed in turn, so that a drift of the machine's speed touches both; the median of the ratios counts.
"""

from pathlib import Path

import click
import torch
from measuring import row, seconds_of

from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.loading import find_package
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.spectrogram import spectrogram

TARGET_RATIO = 1.5


@click.command()
@click.option(
    "--package", type=click.Path(path_type=Path), help="A package of the fixture; by default the embedded one."
)
@click.option("--runs", default=5, show_default=True, help="Counted pairs, after one that is not counted.")
@click.option("--threads", default=1, show_default=True, help="Threads of either side.")
def main(package: Path | None, runs: int, threads: int) -> None:
    """Time one segment through a package and through PyTorch eager."""
    torch.set_num_threads(threads)
    interpreter = InterpreterBackend(package or find_package(None, "10s"))
    samples = interpreter.contract.segment_samples
    pytorch = TorchBackend.load(find_model(interpreter.metadata.model), None, samples)
    mix = torch.from_numpy(synthetic_song(samples))[None]
    mixed = spectrogram(mix)
    inputs = (mixed.real.contiguous(), mixed.imag.contiguous(), mix)

    pairs = [
        (seconds_of(lambda: interpreter.predict(*inputs)), seconds_of(lambda: pytorch.predict(*inputs)))
        for _ in range(runs + 1)
    ][1:]
    click.echo(f"one segment of {samples} samples, {threads} threads, {runs} pairs: minimum, median, maximum")
    row("interpreter, s", [ours for ours, _ in pairs])
    row("PyTorch eager, s", [theirs for _, theirs in pairs])
    row(f"ratio (<= {TARGET_RATIO})", [ours / theirs for ours, theirs in pairs])


if __name__ == "__main__":
    main()
