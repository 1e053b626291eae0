"""Results with known figures, for tests of what is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from htdemucs_coreml.fidelity.measurement import VERSION
from htdemucs_coreml.fidelity.probes import PROBES
from htdemucs_coreml.fidelity.results import Conditions, PackageFigures, Results, SignalFigures

STEMS = ("drums", "bass")
CONDITIONS = Conditions(
    version=VERSION,
    model="fixture",
    weights_sha256="a" * 64,
    stems=STEMS,
    segment_samples=343980,
    signals=PROBES,
    seed=2,
)


def signal_figures(snr_db: Sequence[float] = (70.25, 72.5), float64_snr_db: float = 69.0) -> SignalFigures:
    return SignalFigures(
        snr_db=tuple(snr_db),
        float64_snr_db=(float64_snr_db,) * len(snr_db),
        si_sdr_change_db=(-0.0125, 0.0005),
        mean_relative_error=(3.14e-4, 2.72e-5),
        maximum_error=(1.62e-3, 5.77e-4),
    )


def package_figures(
    *, snr_db: Sequence[float] = (70.25, 72.5), signals: Mapping[str, SignalFigures] | None = None, **changes: object
) -> PackageFigures:
    figures = PackageFigures(
        sha256="b" * 64,
        bytes=67_100_000,
        float16_share=0.8521,
        casts=39,
        largest_float16=655.0,
        largest_float16_name="frequency_encoder_0__conv",
        weights_snr_db=75.5,
        silence_dbfs=float("-inf"),
        finite=True,
        pessimistic_db=41.25,
        signals={name: signal_figures(snr_db) for name in PROBES} | dict(signals or {}),
    )
    return replace(figures, **changes)  # type: ignore[arg-type]


def results(packages: Mapping[str, PackageFigures], attention: Mapping[str, PackageFigures] | None = None) -> Results:
    return Results(CONDITIONS, dict.fromkeys(PROBES, (120.0, 121.0)), packages, attention or {})
