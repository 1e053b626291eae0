"""Train nano: ``python -m training``, which ``just train-nano`` and ``just evaluate-nano`` run."""

from pathlib import Path

import click
import torch

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.files import atomic_file, sha256_file
from htdemucs_coreml.songs.quality_tables import json_text
from training.configuration import DEFAULT_CONFIGURATION, read_configuration
from training.export import export_weights
from training.judging import MODEL, held_out_recipes, judge, table
from training.learning_curve import write_learning_curve
from training.loop import train
from training.records import read_records
from training.state import load_average


class _Group(click.Group):
    """Prints the project's own errors as one line."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except HTDemucsCoreMLError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
def main() -> None:
    """Train the model nano on the project's own songs, and judge it."""


_configuration_option = click.option(
    "--configuration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=DEFAULT_CONFIGURATION,
    help="The run's configuration; by default the one of nano.",
)


@main.command("run")
@_configuration_option
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of PyTorch, on the CPU.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def run_training(configuration: Path, threads: int, folder: Path) -> None:
    """Train in FOLDER, or continue the run that is there, to the end of its schedule."""
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train(folder, read_configuration(configuration), device, click.echo)


@main.command("export")
@_configuration_option
@click.argument("state", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False))
def export_state(configuration: Path, state: Path, weights: Path) -> None:
    """Write the averaged weights of STATE, such as a run's state.pt, to WEIGHTS as safetensors."""
    export_weights(weights, load_average(state), read_configuration(configuration))
    click.echo(f"{weights}: {weights.stat().st_size:,} bytes, sha256 {sha256_file(weights)}")


@main.command("evaluate")
@_configuration_option
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of PyTorch.")
@click.option("--songs-per-genre", type=click.IntRange(0), default=4, show_default=True, help="Invented ones.")
@click.option("--seconds", type=click.FloatRange(4, 1800), default=30, show_default=True, help="Length of those.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write every figure here.")
@click.argument("weights", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def evaluate_weights(
    configuration: Path, threads: int, songs_per_genre: int, seconds: float, json_path: Path | None, weights: Path
) -> None:
    """Score WEIGHTS on the corpus' held-out songs and on invented ones of held-out genres (minutes)."""
    torch.set_num_threads(threads)
    recipes = held_out_recipes(songs_per_genre, seconds)
    scores = judge(weights, read_configuration(configuration), recipes, lambda line: click.echo(line, err=True))
    if json_path is not None:
        with atomic_file(json_path) as partial:
            partial.write_text(json_text(scores[MODEL]), encoding="utf-8")
    click.echo(table(scores))


@main.command("curve")
@click.argument("log", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("chart", type=click.Path(path_type=Path, dir_okay=False))
def draw_curve(log: Path, chart: Path) -> None:
    """Draw LOG, a run's log.jsonl, as CHART, an SVG or PNG file."""
    write_learning_curve(chart, read_records(log))


if __name__ == "__main__":
    main(prog_name="training")
