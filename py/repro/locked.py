"""The reference beside the lock: what Nix builds in its sandbox has to be what is built here, outside of it."""

from pathlib import Path

from htdemucs_coreml.models.registry import EMBEDDED_MODEL
from htdemucs_coreml.package.lock import compare_with_lock, read_lock
from repro.reproduction import Subject
from repro.workspace import PYTHON_SOURCES

GOLDENS = PYTHON_SOURCES.parent / "goldens"


def compare_reference(subject: Subject, packages: Path) -> tuple[list[str], bool]:
    """A line for each package of the reference, with what differs below it; and whether none differs.

    Parameters
    ----------
    subject : Subject
        What was converted; only the fixture at full size is in the lock.
    packages : Path
        The folder of the reference's packages.

    Raises
    ------
    LockError
        If the lock cannot be read.
    """
    if subject.kind != "full":
        return [], True
    lock = read_lock(GOLDENS / "lock.json")
    lines, agree = [], True
    for variant in subject.variants:
        name = f"mlpackages.{EMBEDDED_MODEL}.{variant}"
        entry = lock.find(name)
        if entry is None:
            lines.append(f"{name} is not in the lock; run `just relock`")
            agree = False
            continue
        verdict = compare_with_lock(packages / f"{variant}.mlpackage", entry, GOLDENS / "contents" / f"{name}.txt")
        state = "as locked" if verdict.confirmed else "NOT as locked" if verdict.differences else verdict.reason
        lines.append(f"{name} sha256 {verdict.sha256} {state}")
        lines += [f"  {difference}" for difference in verdict.differences]
        agree = agree and not verdict.differences
    return lines, agree
