"""``python -m htdemucs_coreml.cli.lock``: what builds and recipes do with the lock."""

from pathlib import Path

import click

from htdemucs_coreml.cli.application import run
from htdemucs_coreml.cli.paths import GivenPath
from htdemucs_coreml.package.lock import LockError, compare_with_lock, drop_reason, read_lock, update_lock


@click.group()
def command() -> None:
    """Compare artefacts with the lock, or write them into it."""


_name = click.option("--name", required=True, help="The artefact's name in the lock.")
_lock = click.option("--lock", required=True, type=GivenPath(), help="The lock file.")
_contents = click.option("--contents", required=True, type=GivenPath(), help="Folder of the packages' listings.")
_artefact = click.argument("artefact", type=GivenPath())


@command.command()
@_name
@_lock
@_contents
@_artefact
def check(name: str, lock: Path, contents: Path, artefact: Path) -> None:
    """Fail, naming every difference, unless ARTEFACT is what the lock says."""
    entry = read_lock(lock).find(name)
    if entry is None:
        raise LockError(f"{lock} has no entry {name}; run `just relock`, or say under `unconfirmed` why there is none")
    verdict = compare_with_lock(artefact, entry, contents / f"{name}.txt")
    if verdict.differences:
        for difference in verdict.differences:
            click.echo(difference, err=True)
        raise LockError(f"{name} is not what {lock} says, see above; if this is on purpose, run `just relock`")
    state = "as locked" if verdict.confirmed else f"unconfirmed: {verdict.reason}"
    click.echo(f"{name} sha256 {verdict.sha256} {state}")


@command.command()
@_name
@_lock
@_contents
@_artefact
def update(name: str, lock: Path, contents: Path, artefact: Path) -> None:
    """Write the digests of ARTEFACT into the lock, and say what they were and what changed inside."""
    change = update_lock(artefact, name, lock, contents / f"{name}.txt")
    if change.before is None:
        click.echo(f"{name} sha256 {change.after} locked")
        return
    if change.before == change.after:
        listing = "; what its listing says:" if change.differences else ""
        click.echo(f"{name} sha256 {change.after} unchanged{listing}")
    else:
        click.echo(f"{name} sha256 was {change.before}\n{' ' * len(name)}         is {change.after}")
    for difference in change.differences:
        click.echo(f"  {difference}")


@command.command("drop-reason")
@_name
@_lock
def drop(name: str, lock: Path) -> None:
    """Take the reason why NAME is unconfirmed out of the lock: everything that it was for has an entry now."""
    reason = drop_reason(name, lock)
    if reason is not None:
        click.echo(f"{name} is confirmed, no longer: {reason}")


if __name__ == "__main__":
    run(command, prog_name="python -m htdemucs_coreml.cli.lock")
