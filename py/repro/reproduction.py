"""Converts the subject under every variation and compares; runs every variation's control."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from repro.differences import name_differences
from repro.errors import ReproductionError
from repro.process import FIXED_LAYOUT, end_all, not_here, run_module, ways
from repro.trees import tree
from repro.variations import Plan, Variation
from repro.workspace import Workspace, workspace

REFERENCE = Variation(name="reference", what="nothing", toy="mode")


class Result(Enum):
    """What became of the subject under a variation."""

    IDENTICAL = "identical"
    DIFFERENT = "DIFFERENT"
    FAILED = "FAILED"
    NOT_RUN = "not run"


class Control(Enum):
    """What became of the toy under a variation."""

    CAUGHT = "caught"
    MISSED = "MISSED"
    UNSTEADY = "UNSTEADY"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Outcome:
    """One row of the table.

    Attributes
    ----------
    variation : Variation
        What was varied.
    result : Result
        Of the subject.
    control : Control
        Of the toy.
    way : str
        How it was varied, where there is more than one way.
    detail : tuple of str
        What differs, or why it did not run or failed.
    seconds : float
        Wall time of the conversion.
    """

    variation: Variation
    result: Result
    control: Control
    way: str = ""
    detail: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the bytes are the same, and would have been seen to differ."""
        return self.result is Result.IDENTICAL and self.control is Control.CAUGHT


@dataclass(frozen=True)
class Subject:
    """What is converted: ``small`` or ``full``, in which variants, and what is taken out of the conversion."""

    kind: str
    variants: tuple[str, ...]
    taken_out: str = "nothing"

    def module(self, output: Path) -> list[str]:
        """Arguments of ``python -m`` that convert it."""
        return ["repro.subject", str(output), self.kind, self.taken_out, *self.variants]


class Reproduction:
    """The reference, and what is compared with it.

    Parameters
    ----------
    plan : Plan
        The variations and how long they may take.
    subject : Subject
        What is converted.
    scratch : Path
        An empty folder.

    Raises
    ------
    ReproductionError
        If the reference cannot be made.
    """

    def __init__(self, plan: Plan, subject: Subject, scratch: Path) -> None:
        self._plan = plan
        self._subject = subject
        self._scratch = scratch
        self._seconds = plan.seconds["full" if subject.kind == "full" else "quick"]
        self._fixed = shutil.which(FIXED_LAYOUT[0]) is not None
        with self._workspace(REFERENCE, "reference") as place:
            self._fixed = self._fixed and self._run(place, REFERENCE, (), ["repro.toys", "."], "toy") is None
            self._toys = [self._reference_toys(place, f"toys{number}") for number in (1, 2)]
            self.packages = scratch / "packages"
            started = time.monotonic()
            problem = self._convert(place, REFERENCE, (), self.packages)
            self.seconds = time.monotonic() - started
            if problem is not None:
                raise ReproductionError(f"the reference cannot be converted: {problem}")

    def run(self, variations: Sequence[Variation], processes: int) -> Iterator[Outcome]:
        """Yield outcomes as they come, `processes` at a time; those that take longest begin."""
        order = sorted(enumerate(variations), key=lambda item: -item[1].slow)
        with ThreadPoolExecutor(processes) as pool:
            futures = [pool.submit(self.outcome, number, variation) for number, variation in order]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                end_all()
                raise

    def outcome(self, number: int, variation: Variation) -> Outcome:
        """Run a variation and its control."""
        reason = not_here(variation)
        if reason is None and variation.layout and not self._fixed:
            reason = "the address-space layout cannot be fixed here, so that the reference is random, too"
        if reason is not None:
            return Outcome(variation, Result.NOT_RUN, Control.NOT_RUN, detail=(reason,))
        try:
            with self._workspace(variation, f"run{number:03}") as place:
                return self._varied(place, variation)
        except ReproductionError as error:
            return Outcome(variation, Result.NOT_RUN, Control.NOT_RUN, detail=(str(error),))

    def _varied(self, place: Workspace, variation: Variation) -> Outcome:
        refused = []
        for index, way in enumerate(ways(variation)):
            toys = place.output(f"toys{index}")
            problem = self._run(place, variation, way, ["repro.toys", str(toys), variation.toy], "toy")
            if problem is not None:
                refused.append(problem)
                continue
            note = place.note or (way[0] if way else "")
            control = self._control(variation, toys)
            with tempfile.TemporaryDirectory(dir=self._scratch) as compared:
                output = Path(compared) / "packages"
                started = time.monotonic()
                problem = self._convert(place, variation, way, output)
                seconds = time.monotonic() - started
                if problem is not None:
                    return Outcome(variation, Result.FAILED, control, note, (problem,), seconds)
                named = tuple(name_differences(self.packages, output))
            result = Result.DIFFERENT if named else Result.IDENTICAL
            return Outcome(variation, result, control, note, named, seconds)
        return Outcome(variation, Result.NOT_RUN, Control.NOT_RUN, detail=tuple(refused))

    def _control(self, variation: Variation, toys: Path) -> Control:
        first, second = (tree(folder / variation.toy) for folder in self._toys)
        if variation.steady and first != second:
            return Control.UNSTEADY
        return Control.CAUGHT if tree(toys / variation.toy) != first else Control.MISSED

    def _reference_toys(self, place: Workspace, name: str) -> Path:
        output = place.output(name)
        names = sorted({variation.toy for variation in self._plan.variations})
        problem = self._run(place, REFERENCE, (), ["repro.toys", str(output), *names], "toy")
        if problem is not None:
            raise ReproductionError(f"the toys do not run: {problem}")
        kept = self._scratch / name
        shutil.copytree(output, kept)
        return kept

    def _convert(self, place: Workspace, variation: Variation, way: Sequence[str], kept: Path) -> str | None:
        output = place.output("packages")
        problem = self._run(place, variation, way, self._subject.module(output), "subject")
        if problem is None:
            shutil.copytree(output, kept)
        return problem

    def _run(
        self, place: Workspace, variation: Variation, way: Sequence[str], module: Sequence[str], kind: str
    ) -> str | None:
        seconds = self._seconds if kind == "subject" else self._plan.seconds["toy"]
        return run_module(place, variation, way, module, seconds * variation.slow, self._fixed).problem

    @contextmanager
    def _workspace(self, variation: Variation, name: str) -> Iterator[Workspace]:
        folder = self._scratch / name
        folder.mkdir()
        try:
            with workspace(folder, variation) as place:
                yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)
