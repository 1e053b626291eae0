"""``just bench-memory``: an hour-long FLAC file takes no more memory to separate than one of 3 minutes.

Each is separated into six float32 WAV stems in a process of its own, with a core that passes the mix through, so that
what counts is all but the model: decoding, sample rates, STFT, overlap-add, files. The long one's stems take 8.3 GB of
disk while it runs.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile
import torch

from fake_cores import gains_core
from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.pipeline.chunk_plan import design_plan
from htdemucs_coreml.pipeline.file_separation import separate_file
from htdemucs_coreml.signals import synthetic_song

SEGMENT_SAMPLES = 10 * SAMPLE_RATE_HZ
HIGHEST_RATIO = 1.10
_TILE_SECONDS = 10


@click.command()
@click.option("--short", "short_seconds", default=180, show_default=True, help="Length of the short song in seconds.")
@click.option("--long", "long_seconds", default=3600, show_default=True, help="Length of the long one.")
@click.option("--rate", "rate_hz", default=48_000, show_default=True, help="Sample rate of both.")
@click.option("--stems", default=6, show_default=True, help="How many stems are written.")
@click.option("--separate", "song", type=click.Path(path_type=Path), hidden=True, help="What a child process does.")
def main(short_seconds: int, long_seconds: int, rate_hz: int, stems: int, song: Path | None) -> None:
    """Compare the peak memory of separating a long song with a short one's."""
    if song is not None:
        torch.set_num_threads(1)
        core = gains_core({f"stem_{index}": 1 / stems for index in range(stems)}, SEGMENT_SAMPLES)
        separate_file(song, song.parent / "stems", core, design_plan(segment_samples=SEGMENT_SAMPLES))
        click.echo(json.dumps({"peak_memory_bytes": _peak_memory_bytes()}))
        return
    short, long = (_measured(seconds, rate_hz, stems) for seconds in (short_seconds, long_seconds))
    ratio = long / short
    click.echo(f"  ratio {ratio:.3f} (<= {HIGHEST_RATIO})")
    if ratio > HIGHEST_RATIO:
        click.echo("error: memory grows with the song", err=True)
        sys.exit(1)


def _measured(seconds: int, rate_hz: int, stems: int) -> float:
    """Peak memory of separating a song of a length, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        song = _written_song(Path(folder) / "song.flac", seconds, rate_hz)
        started = time.perf_counter()
        command: list[str | Path] = [sys.executable, __file__, "--stems", str(stems), "--separate", song]
        finished = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        wall = time.perf_counter() - started
    peak = float(json.loads(finished.stdout)["peak_memory_bytes"])
    click.echo(
        f"  {seconds:>5} s of audio: {peak / 1e6:.1f} MB at most, {wall:.1f} s ({seconds / wall:.0f} x real time)"
    )
    return peak


def _written_song(path: Path, seconds: int, rate_hz: int) -> Path:
    """Write a song of stereo int16, always the same: a short one again and again, each time at another level."""
    tile = synthetic_song(_TILE_SECONDS * rate_hz).T
    with soundfile.SoundFile(path, "w", rate_hz, 2, subtype="PCM_16", format="FLAC") as file:
        for index in range(-(-seconds // _TILE_SECONDS)):
            level = np.float32(0.5 + 0.5 * (index * 7 % 10) / 10)
            file.write(level * tile[: (seconds - index * _TILE_SECONDS) * rate_hz])
    return path


def _peak_memory_bytes() -> int:
    """Peak resident memory of this process alone.

    On Linux ``ru_maxrss`` also counts what the parent had when it forked; the system's own figure does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
