"""Whether what was measured is of the packages that the lock pins, and the page of what was measured."""

from collections.abc import Iterator, Sequence

from htdemucs_coreml.fidelity.bars import Verdict
from htdemucs_coreml.fidelity.measurement import VERSION
from htdemucs_coreml.fidelity.page import page
from htdemucs_coreml.fidelity.results import Results
from htdemucs_coreml.package.digests import tree_sha256
from htdemucs_coreml.package.lock import Lock

_REMEDY = "run `just update-fidelity`"


def outdated(
    results: Results,
    text: str,
    verdicts: Sequence[Verdict],
    lock: Lock,
    variants: Sequence[str],
) -> Iterator[str]:
    """What is not current, in a line each; nothing where the page is.

    Parameters
    ----------
    results : Results
        The committed data.
    text : str
        The committed page.
    verdicts : sequence of Verdict
        Of the committed data.
    lock : Lock
        What is pinned.
    variants : sequence of str
        All variants that have to be measured.
    """
    if results.conditions.version != VERSION:
        yield f"measured by version {results.conditions.version}, and this is {VERSION}: {_REMEDY}"
    for variant in dict.fromkeys((*variants, *results.packages)):
        measured = results.packages.get(variant)
        entry = lock.find(f"mlpackages.{results.conditions.model}.{variant}")
        if variant not in variants:
            yield f"{variant} was measured, but there is no such variant: {_REMEDY}"
        elif measured is None:
            yield f"{variant} was not measured: {_REMEDY}"
        elif entry is None or entry.files is None:
            yield f"{variant} was measured, but the lock pins no such package: run `just relock`"
        elif tree_sha256(entry.files) != measured.sha256:
            pinned = tree_sha256(entry.files)
            yield f"{variant} was measured with sha256 {measured.sha256}, but the lock pins {pinned}: {_REMEDY}"
    if text != page(results, verdicts):
        yield f"the page is not what its data give: {_REMEDY}"
