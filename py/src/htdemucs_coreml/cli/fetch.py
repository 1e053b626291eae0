"""``fetch``: a model's published weights, verified."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from htdemucs_coreml.cli.application import CONTEXT_SETTINGS, EXIT_FAILED, expected_errors
from htdemucs_coreml.cli.fetch_report import FetchReport, JSONFetchReport, TextFetchReport
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.cli.sha256_option import checked_sha256
from htdemucs_coreml.cli.termination import Terminated
from htdemucs_coreml.downloads import Download, download
from htdemucs_coreml.models.registry import ModelEntry, PublishedFile, UnknownModelError, bags, find_model
from htdemucs_coreml.weights.cache import cache_folder
from htdemucs_coreml.weights.content import MAX_FILE_BYTES, WeightsError

_EXAMPLES = """
\b
Examples:
  htdemucs-coreml fetch htdemucs_6s
  htdemucs-coreml fetch htdemucs_6s --form th -o weights
"""


@click.command("fetch", context_settings=CONTEXT_SETTINGS, epilog=_EXAMPLES)
@click.argument("model")
@click.option(
    "-o",
    "--output",
    "output_folder",
    metavar="DIR",
    type=GivenPath(),
    help="Where to put the file; made if it is not there.  [default: a folder of yours for caches, where `convert`, "
    "`verify` and `separate --backend torch` look for it]",
)
@click.option(
    "--form",
    default="safetensors",
    show_default=True,
    type=click.Choice(["safetensors", "th"]),
    help="Which of the published files; both hold the same weights. `th` is the older form.",
)
@click.option(
    "--sha256",
    metavar="HEX",
    callback=checked_sha256,
    help="The sha256 that the file must have, where the registry has none for it or another one.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print events as lines of JSON to standard output: note, progress, done, error, summary.",
)
@click.option("--quiet", is_flag=True, help="Print the path and errors, but no progress and no notes.")
def command(model: str, output_folder: Path | None, form: str, sha256: str | None, as_json: bool, quiet: bool) -> None:
    """Get the published weights of MODEL from their publisher.

    For a bag of models (`htdemucs_ft`) these are the files of its members. A file appears when its size and sha256 are
    those of the registry, and not before. A download that was interrupted goes on where it ended. Where the file is
    there already, nothing is downloaded. The last lines printed are the paths.
    """
    try:
        entries = [find_model(name) for name in (bags()[model].members if model in bags() else (model,))]
    except UnknownModelError as error:
        raise click.UsageError(str(error)) from error
    files = [_file(entry, form) for entry in entries]
    if sha256 is not None and len(files) > 1:
        raise click.UsageError(f"--sha256 is for one file, and {model} has {len(files)}")
    report: FetchReport = JSONFetchReport(quiet=quiet) if as_json else TextFetchReport(quiet=quiet)
    for licence in dict.fromkeys(entry.licence for entry in entries):
        report.note(f"licence of the weights of {model}: {licence}")
    told: tuple[type[Exception], ...] = (*expected_errors(), OSError)
    failed = 0
    for published in files:
        try:
            fetched = _fetch(published, output_folder or cache_folder(), sha256, report)
        except told as error:
            report.failed(published, error)
            failed += 1
            continue
        # Not above: where this cannot be printed, the file is there all the same, and there is nothing to go on for.
        report.done(published, fetched.path, downloaded=fetched.downloaded, sha256=fetched.sha256)
    report.summary(done=len(files) - failed, failed=failed)
    if failed:
        sys.exit(EXIT_FAILED)


def _file(entry: ModelEntry, form: str) -> PublishedFile:
    """The file of a model in one form."""
    if not entry.weights:
        raise click.UsageError(f"{entry.name} needs no file: its weights are generated")
    for published in entry.weights:
        if Path(published.file).suffix == f".{form}":
            return published
    raise click.UsageError(f"{entry.name} is not published in the form {form}")


@dataclass(frozen=True)
class _Fetched:
    """A file that is there."""

    path: Path
    downloaded: bool
    sha256: str


def _fetch(published: PublishedFile, folder: Path, sha256: str | None, report: FetchReport) -> _Fetched:
    expected = sha256 or published.sha256
    if expected is None:
        raise WeightsError(
            f"{published.file} is not pinned in the registry, {published.open}; if you know its sha256 from a source "
            "that you trust, give it with --sha256"
        )
    size = published.bytes if expected == published.sha256 else None
    wanted = Download(published.url, expected, size, MAX_FILE_BYTES)
    target = folder / published.file
    try:
        with report.progress_of(published) as progress:
            downloaded = download(
                wanted, target, progress, lambda: report.note(f"waiting for another fetch of {published.file}")
            )
    except Terminated as termination:
        termination.aftermath = "what was downloaded is kept, and the next fetch goes on from there"
        raise
    return _Fetched(target, downloaded, expected)
