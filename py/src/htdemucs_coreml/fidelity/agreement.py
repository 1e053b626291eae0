"""Whether what is measured now is what was measured before."""

import math
from collections.abc import Iterator

from htdemucs_coreml.fidelity.probes import STRESS
from htdemucs_coreml.fidelity.results import PackageFigures, Results, SignalFigures

TOLERANCE_DB = 1.0
"""By how many dB levels may differ between machines: CPUs sum float32 in other orders."""

LAST_BITS_TOLERANCE_DB = 10.0
"""The same where the error is float32's own and hangs on last bits: on the click, and of float32 packages' errors."""


def disagreements(now: Results, before: Results) -> Iterator[str]:
    """What differs by more than the tolerance, in a line each.

    Digests, sizes, casts and shares have to be equal. Of errors, 20 log10 counts.
    """
    if now.conditions != before.conditions:
        yield f"measured under {now.conditions}, but the data are of {before.conditions}"
        return
    for section, ours, theirs in (
        ("", now.packages, before.packages),
        ("attention in float32, ", now.attention, before.attention),
    ):
        for name in sorted(ours.keys() | theirs.keys()):
            if name not in ours or name not in theirs:
                yield f"{section}{name} was measured only {'now' if name in ours else 'before'}"
            else:
                yield from (f"{section}{name}: {line}" for line in _of_package(ours[name], theirs[name]))


def _of_package(now: PackageFigures, before: PackageFigures) -> Iterator[str]:
    for field in ("sha256", "bytes", "casts", "float16_share", "finite"):
        if getattr(now, field) != getattr(before, field):
            yield f"{field} is {getattr(now, field)}; the data say {getattr(before, field)}"
    for field in ("weights_snr_db", "silence_dbfs", "pessimistic_db"):
        yield from _level(field, getattr(now, field), getattr(before, field), TOLERANCE_DB)
    yield from _level("headroom", _decibels(now.headroom), _decibels(before.headroom), TOLERANCE_DB)
    for signal, columns in now.signals.items():
        last_bits = signal == STRESS or before.float16_share == 0
        tolerance = LAST_BITS_TOLERANCE_DB if last_bits else TOLERANCE_DB
        yield from (f"{signal}: {line}" for line in _of_signal(columns, before.signals[signal], tolerance))


def _of_signal(now: SignalFigures, before: SignalFigures, tolerance_db: float) -> Iterator[str]:
    pairs = (
        ("worst stem SNR", min(now.snr_db), min(before.snr_db)),
        ("worst stem from float64", min(now.float64_snr_db), min(before.float64_snr_db)),
        ("mean relative error", _decibels(max(now.mean_relative_error)), _decibels(max(before.mean_relative_error))),
        ("maximum error", _decibels(max(now.maximum_error)), _decibels(max(before.maximum_error))),
    )
    for what, ours, theirs in pairs:
        yield from _level(what, ours, theirs, tolerance_db)


def _level(what: str, now: float, before: float, tolerance_db: float) -> Iterator[str]:
    if now != before and not abs(now - before) <= tolerance_db:
        yield f"{what} is {now:.1f} dB; the data say {before:.1f} dB"


def _decibels(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf
