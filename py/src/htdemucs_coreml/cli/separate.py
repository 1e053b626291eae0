"""``separate``: songs into stems."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from htdemucs_coreml import backends
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding
from htdemucs_coreml.cli.application import CONTEXT_SETTINGS, EXIT_FAILED, expected_errors
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.separation_report import JSONReport, Report, TextReport
from htdemucs_coreml.cli.sha256_option import sha256_option
from htdemucs_coreml.cli.songs import Song, Songs, find_songs
from htdemucs_coreml.convert.variants import default_variant, variants
from htdemucs_coreml.models.registry import EMBEDDED_MODEL, UnknownModelError
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan, ChunkPlanError, PlanName, chunk_plan_for
from htdemucs_coreml.pipeline.file_separation import FileOptions, is_separated, output_names, separate_file
from htdemucs_coreml.pipeline.separation import UnknownStemError
from htdemucs_coreml.pipeline.stem_folder import remove_leftovers

Outcome = Literal["done", "skipped", "failed"]

_SEGMENT_OF_PLAN: dict[PlanName, Literal["10s", "7.8s"]] = {PlanName.DESIGN: "10s", PlanName.DEMUCS: "7.8s"}


@dataclass(frozen=True)
class CoreChoice:
    """Which core runs, and by which plan: the options that concern neither inputs nor outputs."""

    model: str | None
    package: Path | None
    packages: Path | None
    variant: str | None
    weights: Path | None
    sha256: str | None
    backend: str
    plan: PlanName | None
    overlap: float | None

    def load(self, stems: Sequence[str] | None) -> tuple[backends.CoreBackend, ChunkPlan]:
        """Load the core, as far as it takes for the stems that are asked for, and fit the plan to it."""
        segment = None if self.plan is None else _SEGMENT_OF_PLAN[self.plan]
        model = None if self.package is not None else self.model or EMBEDDED_MODEL
        core = backends.load_backend(
            self.backend,
            model=model,
            package=self.package,
            weights=self.weights,
            segment=segment,
            sha256=self.sha256,
            variant=self.variant,
            packages=self.packages,
            stems=stems,
        )
        return core, chunk_plan_for(core.contract.segment_samples, self.plan, self.overlap)


_EXAMPLES = """
\b
Examples:
  htdemucs-coreml separate song.mp3 -o stems --package htdemucs_6s.mlpackage
  htdemucs-coreml separate *.flac -o stems --package htdemucs_6s.mlpackage --two-stems vocals --flac
  htdemucs-coreml separate Music -o Stems --package htdemucs_6s.mlpackage --resume
  htdemucs-coreml separate song.wav -o stems --model htdemucs_6s --plan demucs --stems drums,bass
  htdemucs-coreml separate song.wav -o stems --model htdemucs_ft --packages packages --two-stems vocals
"""


@click.command("separate", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True, type=GivenPath())
@click.option(
    "-o",
    "--output",
    "output_folder",
    metavar="DIR",
    required=True,
    type=GivenPath(),
    help="Where the folders of stems go; made if it is not there.",
)
@click.option(
    "--model",
    metavar="NAME",
    help=f"A model, or a bag of models, whose packages are in --packages.  [default: {EMBEDDED_MODEL}]",
)
@click.option("--package", type=GivenPath(), help="An .mlpackage to use, in place of --model.")
@click.option(
    "--packages",
    metavar="DIR",
    type=GivenPath(),
    help="The folder of NAME.VARIANT.mlpackage in which --model finds its package, or its members' if it is a bag.  "
    "[default: those built beside this installation]",
)
@click.option(
    "--variant",
    type=click.Choice(list(variants())),
    help=f"Which of the packages of --model.  [default: {default_variant().name}, or what --plan needs]",
)
@click.option(
    "--plan",
    type=click.Choice([name.value for name in PlanName]),
    help="How the song is cut and blended. `design`: segments of 10 s every 8 s, fewer runs of the model. `demucs`: "
    "7.8 s, as the model was trained, every 5.85 s, and the same stems as upstream's.  "
    "[default: what fits the package; design for --model]",
)
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of a segment in common with the next. More is smoother and takes longer: time grows as "
    "1 / (1 - overlap). Plan design's ramps are half as long as what is shared.  [default: design 0.2, demucs 0.25]",
)
@click.option("--stems", metavar="A,B", help="Write only these stems.  [default: all]")
@click.option("--two-stems", metavar="A", help="Write stem A and no_A, the rest of the mix; together they are the mix.")
@click.option("--float32", "float32", is_flag=True, help="32-bit floating-point WAV: nothing is lost.  [default]")
@click.option("--int24", "int24", is_flag=True, help="24-bit integers.  [default with --flac]")
@click.option("--int16", "int16", is_flag=True, help="16-bit integers: half the size of --float32, not dithered.")
@click.option("--flac", is_flag=True, help="FLAC files, which are smaller and hold integers only, in place of WAV.")
@click.option(
    "--clip-mode",
    type=click.Choice([mode.value for mode in ClipMode]),
    help="Samples beyond full scale. `none`: kept by float32, cut by integers. `rescale`: a stem that is too loud is "
    "made quieter as a whole, so stems no longer add up to the mix. `clamp`: cut at 0.99.  "
    "[default: none for float32, rescale for integers]",
)
@click.option(
    "--downmix", is_flag=True, help="Mix inputs of 3 to 6 channels down to stereo; they are refused otherwise."
)
@click.option(
    "--backend",
    default="interpreter",
    show_default=True,
    type=click.Choice(backends.BACKEND_NAMES),
    help="What runs the model. `interpreter`: the package's own bytes, on any system. `coreml`: Apple's, on macOS "
    "only, and the fastest there. `torch`: PyTorch on the original weights, to compare with.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=GivenPath(),
    help="The model's safetensors or .th file, for --backend torch; for a bag of models, the folder of its members' "
    "files.  [default: what was fetched]",
)
@sha256_option
@click.option(
    "--resume",
    is_flag=True,
    help="Skip inputs whose stems are there from an earlier run, made from the same file with the same package, plan "
    "and options. Without it, they are made again.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print events as lines of JSON to standard output: note, progress, done, skipped, error, summary.",
)
@click.option("--quiet", is_flag=True, help="Print errors, and with --json results, but no progress and no notes.")
def command(
    inputs: tuple[Path, ...],
    output_folder: Path,
    model: str | None,
    package: Path | None,
    packages: Path | None,
    variant: str | None,
    plan: str | None,
    overlap: float | None,
    stems: str | None,
    two_stems: str | None,
    float32: bool,
    int24: bool,
    int16: bool,
    flac: bool,
    clip_mode: str | None,
    downmix: bool,
    backend: str,
    weights: Path | None,
    sha256: str | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Separate songs into stems.

    Each INPUT (WAV, AIFF, FLAC, MP3, M4A, Ogg, …) becomes a folder DIR/<input's name> with one stereo file for each
    stem, at the input's sample rate and length. A song's stems appear when all are complete, or not at all. Memory does
    not grow with the song.

    An INPUT that is a folder stands for the audio files in it and in its sub-folders, which are then made in DIR as
    well: of the INPUT Music, Music/Band/song.mp3 becomes DIR/Band/song. Hidden files and others are left out.

    With several inputs, one that fails is told and the others are still separated; the exit code is then 1.
    """
    _require_one_of("--model", model, "--package", package)
    _require_one_of("--packages", packages, "--package", package)
    _require_one_of("--variant", variant, "--package", package)
    _require_one_of("--stems", stems, "--two-stems", two_stems)
    if sha256 is not None and backend != "torch":
        raise click.UsageError(f"--sha256 is for --backend torch: {backend} runs a package, which has its own weights")
    if weights is not None and backend != "torch":
        raise click.UsageError(f"--weights is for --backend torch: {backend} runs a package, which has its own")
    for option, value in (("--packages", packages), ("--variant", variant)):
        if value is not None and backend == "torch":
            raise click.UsageError(f"{option} is for a backend that runs packages; --backend torch runs --weights")
    options = FileOptions(
        stems=None if stems is None else tuple(stem.strip() for stem in stems.split(",")),
        two_stems=two_stems,
        audio_format=_audio_format(
            [name for name, chosen in zip(Encoding, (float32, int24, int16), strict=True) if chosen], flac=flac
        ),
        clip_mode=None if clip_mode is None else ClipMode(clip_mode),
        downmix=downmix,
    )
    choice = CoreChoice(
        model=model,
        package=package,
        packages=packages,
        variant=variant,
        weights=weights,
        sha256=sha256,
        backend=backend,
        plan=None if plan is None else PlanName(plan),
        overlap=overlap,
    )
    found = find_songs(inputs, output_folder)
    report: Report = JSONReport(quiet=quiet) if as_json else TextReport(quiet=quiet)
    counts = _separate_all(found, output_folder, choice, options, report, resume=resume)
    report.summary(done=counts["done"], skipped=counts["skipped"], failed=counts["failed"])
    if counts["failed"]:
        sys.exit(EXIT_FAILED)


def _separate_all(
    found: Songs, output_folder: Path, choice: CoreChoice, options: FileOptions, report: Report, *, resume: bool
) -> Counter[Outcome]:
    """Separate each song and count what became of them, and of what is none."""
    for path, error in found.failures:
        report.failed(path, error)
    songs = [song for song in found.songs if _can_be_opened(song.path, report)]
    counts: Counter[Outcome] = Counter()
    counts["failed"] = len(found.failures) + len(found.songs) - len(songs)
    if found.note is not None:
        report.note(found.note)
    if not songs:
        return counts
    if choice.model is None and choice.package is None:
        report.note(
            f"neither --model nor --package was given: this is the embedded model {EMBEDDED_MODEL}, whose weights are "
            "computed and not trained, so its stems are no separation"
        )
    try:
        core, plan = choice.load(options.separated_stems)
        output_names(core.contract.sources, options)
    except (ChunkPlanError, UnknownModelError, UnknownStemError) as error:
        raise click.UsageError(str(error)) from error
    except expected_errors() as error:
        report.failed(None, error)
        counts["failed"] += len(songs)
        return counts
    for song in songs:
        try:
            counts[_separate(song, output_folder, core, plan, options, report, resume=resume)] += 1
        except expected_errors() as error:
            report.failed(song.path, error)
            counts["failed"] += 1
    return counts


def _separate(
    song: Song,
    output_folder: Path,
    core: backends.CoreBackend,
    plan: ChunkPlan,
    options: FileOptions,
    report: Report,
    *,
    resume: bool,
) -> Outcome:
    started = time.monotonic()
    target = output_folder / song.place
    if resume and is_separated(song.path, target, core, plan, options):
        with suppress(OSError):
            # Where nothing is written, nothing needs to be tidied up; the next run that writes has to.
            remove_leftovers(target.parent)
        report.skipped(song.path, target)
        return "skipped"
    with report.progress_of(song.path) as progress:
        separated = separate_file(
            song.path, output_folder / song.subfolder, core, plan, options, progress, name=song.name
        )
    report.done(song.path, separated, time.monotonic() - started)
    return "done"


def _can_be_opened(path: Path, report: Report) -> bool:
    """Tell of an input that cannot be opened before hours are spent on the others."""
    try:
        AudioFile(path)
    except AudioError as error:
        report.failed(path, error)
        return False
    return True


def _require_one_of(first: str, first_value: object, second: str, second_value: object) -> None:
    if first_value is not None and second_value is not None:
        raise click.UsageError(f"{first} and {second} exclude each other")


def _audio_format(encodings: Sequence[Encoding], *, flac: bool) -> AudioFormat:
    if len(encodings) > 1:
        raise click.UsageError(f"{' and '.join(f'--{each}' for each in encodings)} exclude each other")
    container = Container.FLAC if flac else Container.WAV
    default = Encoding.INT24 if flac else Encoding.FLOAT32
    try:
        return AudioFormat(container, encodings[0] if encodings else default)
    except AudioError as error:
        raise click.UsageError(str(error)) from error
