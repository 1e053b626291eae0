"""``just bench``, the Swift part: transforms beside PyTorch's, the pipeline's speed and its memory, as ratios.

Both sides run on one thread, in turn within one run, so that a drift of the machine's speed touches both.
"""

import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

import click
import torch
from measuring import row, seconds_of

from htdemucs_coreml.core.contract import HOP_LENGTH, N_FFT

STEMS = 6
SEGMENT_SAMPLES = 441_000
SHORT_SECONDS, LONG_SECONDS = 180, 3 * 3600
_REPEATS = 10


@click.command()
@click.option("--tool", required=True, type=click.Path(path_type=Path), help="The Swift tool.")
@click.option("--runs", default=5, show_default=True, help="Counted pairs, after one that is not counted.")
@click.option("--threads", default=1, show_default=True, help="Threads of PyTorch; Swift has one.")
@click.option("--long/--no-long", default=True, show_default=True, help="Whether to time a track of three hours too.")
def main(tool: Path, runs: int, threads: int, long: bool) -> None:
    """Time the Swift tool's transforms against PyTorch's, and its pipeline around a model that does nothing."""
    torch.set_num_threads(threads)
    pairs = [(_swift_transforms(tool), _torch_transforms()) for _ in range(runs + 1)][1:]
    click.echo(
        f"\none segment of {SEGMENT_SAMPLES} samples: STFT of the mix and inverse of {STEMS} stems, {runs} pairs"
    )
    click.echo(f"  {'':<22} {'minimum':>8} {'median':>8} {'maximum':>8}")
    row("Swift, ms", [1000 * ours for ours, _ in pairs])
    row("PyTorch, ms", [1000 * theirs for _, theirs in pairs])
    row("ratio (<= 1)", [ours / theirs for ours, theirs in pairs])

    click.echo("\nthe pipeline around a pass-through model, six stems, into nowhere")
    short = [_pass_through(tool, SHORT_SECONDS) for _ in range(runs)]
    speed = [result["audio_seconds_per_second"] for result in short]
    row("x real time (>= 60)", speed)
    if long:
        peak = statistics.median(result["peak_memory_bytes"] for result in short)
        result = _pass_through(tool, LONG_SECONDS)
        click.echo(f"  3 minutes take {peak / 1e6:.0f} MB at most, 3 hours {result['peak_memory_bytes'] / 1e6:.0f} MB")
        row("memory ratio (<= 1.2)", [result["peak_memory_bytes"] / peak])


def _swift_transforms(tool: Path) -> float:
    stages = _run(tool, "bench", "--transforms", "--json")["stages"]
    return float(sum(stage["median_seconds"] for stage in stages.values()))


def _pass_through(tool: Path, seconds: int) -> dict[str, Any]:
    return _run(tool, "bench", "--pass-through", "--seconds", str(seconds), "--json")


def _run(tool: Path, *arguments: str) -> dict[str, Any]:
    finished = subprocess.run([tool, *arguments], check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


def _torch_transforms() -> float:
    """Seconds of ``torch.stft`` of a stereo segment plus ``torch.istft`` of six stereo stems."""
    window = torch.hann_window(N_FFT)
    mix = torch.rand(2, SEGMENT_SAMPLES) - 0.5
    options: dict[str, Any] = {"n_fft": N_FFT, "hop_length": HOP_LENGTH, "window": window, "normalized": True}
    stems = torch.stft(mix.repeat(STEMS, 1), return_complex=True, **options)
    forward = [seconds_of(lambda: torch.stft(mix, return_complex=True, **options)) for _ in range(_REPEATS)]
    inverse = [seconds_of(lambda: torch.istft(stems, length=SEGMENT_SAMPLES, **options)) for _ in range(_REPEATS)]
    return statistics.median(forward) + statistics.median(inverse)


if __name__ == "__main__":
    main()
