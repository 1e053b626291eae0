"""``docs/fidelity.md``, made of what was measured and of nothing else."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from htdemucs_coreml.fidelity.bars import Verdict, held_out_worst_db
from htdemucs_coreml.fidelity.derivation import LEAST_HEADROOM
from htdemucs_coreml.fidelity.measurement import LARGEST_INPUT
from htdemucs_coreml.fidelity.probes import STRESS
from htdemucs_coreml.fidelity.references import TRUTH_SI_SDR_DB
from htdemucs_coreml.fidelity.results import PackageFigures, Results, SignalFigures
from htdemucs_coreml.metrics import QUIET_STEM_DB

REACH_DB = (60.0, 40.0, 25.0, 20.0)
"""Levels for which the page names the smallest package that reaches them."""

ATTENTION_MATTERS_DB = 1.0
"""What attention in float32 has to gain on the worst stem to be worth its casts."""

_NONE = "-"
_PALETTE = re.compile(r"palette(\d)(?:-7_8s)?")
_DB_A_BIT = 20 * math.log10(2)
_AIM_DB = 60.0

_INTRODUCTION = """# Fidelity

Written by `just update-fidelity` from [fidelity.toml](fidelity.toml); do not edit. `just fidelity` measures again and
compares.

How far each variant's package, executed from its bytes by the interpreter, is from float32 PyTorch: the weights of
`{model}`, segments of {seconds:.1f} s, signals of seed {seed}, which the derivation of `mixed` did not see. Core ML
itself was not run. [What the figures are](#what-the-figures-are) stands at the end."""

_DEFINITIONS = """## What the figures are

- **Stem SNR**: energy of PyTorch's stem through the energy of the difference, after the inverse STFT. A stem more than
  {quiet:.0f} dB below the mix is scored against the mix - {quiet:.0f} dB.
- **Worst** and **mean** are those of the {stems} stems: {names}. Over several signals, they are those of
  all but the {stress}, one sample at full scale: a stress signal, on which float32 PyTorch itself is far from float64.
- **SI-SDR**: a stem's scale-invariant SDR against the true stem, less that of PyTorch's stem; of the stem that loses
  most. Fixture weights separate nothing, so **the truth is made**: PyTorch's stem and independent noise, so that
  PyTorch scores {truth:.0f} dB, about what HTDemucs scores on the test songs of MUSDB18-HQ (README of demucs 4: 9.00
  dB; Rouard, Massa, Défossez, ICASSP 2023).
- **Mean relative error**: mean |error| through mean |PyTorch's stem|, of the worst stem. The mean of each sample's own
  relative error would be decided by the samples next to zero crossings. **Maximum error**: largest |error| of any
  sample of any stem, where full scale is 1.
- **From float64**: stem SNR against PyTorch in float64, STFT and inverse STFT included.
- **float16**: share of the multiply-adds. **Casts**: operations that convert between float16 and float32.
- **Headroom**: float16's largest number, 65,504, through the largest magnitude among float16 values and constants on
  any signal, the {stress} included; flagged under {headroom:.0f}. What an operation makes inside itself does not count.
- **Weights**: SNR of the stored weights against the float32 package's, each tensor relative to its own energy.
- **Pessimistic**: the worst stem on a machine with float16 accumulators, with segments of about a second: a float16
  operation sums 64 terms, rounds that to float16 and adds it in float16. What a device gives lies between the two.
- **Silence**: peak of all stems for a silent mix. **Finite**: all outputs are, for noise, a single sample and a square
  wave of magnitude {largest:,.0f}."""


def page(results: Results, verdicts: Sequence[Verdict]) -> str:
    """The page as Markdown; a pure function of what was measured."""
    conditions = results.conditions
    signals = conditions.signals
    sections = [
        _INTRODUCTION.format(model=conditions.model, seconds=conditions.segment_samples / 44100, seed=conditions.seed),
        f"## Variants\n\n{_variants(results.packages)}\n\n{_reach(results.packages)}",
        f"## What they have to reach\n\n{_bars(verdicts)}",
        "## Worst stem SNR in dB\n\n" + _by_signal(results.packages, signals, lambda one: _db(min(one.snr_db))),
        "## Mean stem SNR in dB\n\n" + _by_signal(results.packages, signals, lambda one: _db(_mean(one.snr_db))),
        "## SI-SDR in dB, less PyTorch's\n\n"
        + _by_signal(results.packages, signals, lambda one: _change(_largest(one.si_sdr_change_db))),
        "## Mean relative error\n\n"
        + _by_signal(results.packages, signals, lambda one: _error(max(one.mean_relative_error))),
        "## Maximum error\n\n" + _by_signal(results.packages, signals, lambda one: _error(max(one.maximum_error))),
        "## Worst stem from float64, in dB\n\n" + _float64(results),
        *_attention(results),
        *_palettes(results.packages),
        _DEFINITIONS.format(
            quiet=-QUIET_STEM_DB,
            stems=len(conditions.stems),
            names=", ".join(conditions.stems),
            stress=STRESS,
            truth=TRUTH_SI_SDR_DB,
            headroom=LEAST_HEADROOM,
            largest=LARGEST_INPUT,
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _variants(packages: Mapping[str, PackageFigures]) -> str:
    header = [
        *("variant", "MB", "float16", "casts", "worst", "mean", "SI-SDR", "pessimistic", "headroom", "weights"),
        *("silence", "finite"),
    ]
    return _table(
        header,
        (
            [
                f"`{name}`",
                f"{one.bytes / 1e6:.1f}",
                f"{one.float16_share:.1%}",
                str(one.casts),
                _db(held_out_worst_db(one)),
                _db(_mean([figure for columns in _deciding(one) for figure in columns.snr_db])),
                _change(_largest([figure for columns in _deciding(one) for figure in columns.si_sdr_change_db])),
                _db(one.pessimistic_db),
                _headroom(one),
                _db(one.weights_snr_db),
                f"{_db(one.silence_dbfs)} dBFS",
                "yes" if one.finite else "**no**",
            ]
            for name, one in packages.items()
        ),
    )


def _reach(packages: Mapping[str, PackageFigures]) -> str:
    lines = []
    for level in REACH_DB:
        reaching = {name: one for name, one in packages.items() if held_out_worst_db(one) >= level}
        if reaching:
            name = min(reaching, key=lambda name: (reaching[name].bytes, name))
            size, worst = reaching[name].bytes / 1e6, held_out_worst_db(reaching[name])
            lines.append(f"- {level:.0f} dB: `{name}`, {size:.1f} MB ({worst:.1f} dB)")
        else:
            lines.append(f"- {level:.0f} dB: none")
    return "\n".join(["The smallest package whose worst stem reaches, on every signal but the click,", "", *lines])


def _bars(verdicts: Sequence[Verdict]) -> str:
    return _table(
        ["variant", "bar", "measured", "holds"],
        ([f"`{one.variant}`", one.bar, one.figure, _holds(one)] for one in verdicts),
    )


def _holds(verdict: Verdict) -> str:
    if verdict.is_goal:
        return "reached" if verdict.holds else "not reached"
    return "yes" if verdict.holds else "**NO**"


def _float64(results: Results) -> str:
    signals = results.conditions.signals
    pytorch = ["float32 PyTorch", *(_db(min(results.pytorch_float64_snr_db[name])) for name in signals)]
    rows = (
        [f"`{name}`", *(_db(min(one.signals[signal].float64_snr_db)) for signal in signals)]
        for name, one in results.packages.items()
    )
    return _table(["variant", *signals], [pytorch, *rows])


def _attention(results: Results) -> Iterator[str]:
    if not results.attention:
        return
    rows, changes, facts = [], [], []
    for name, single in results.attention.items():
        half = results.packages[name]
        for kind, one in (("as in the variant", half), ("float32", single)):
            rows.append(
                [
                    *(f"`{name}`", kind, _db(held_out_worst_db(one)), _db(min(one.signals[STRESS].snr_db))),
                    _db(one.pessimistic_db),
                    *(f"{one.float16_share:.1%}", str(one.casts)),
                ]
            )
        change = _difference(held_out_worst_db(single), held_out_worst_db(half))
        pessimistic = _difference(single.pessimistic_db, half.pessimistic_db)
        changes += [change, pessimistic]
        facts.append(
            f"`{name}` by {change:+.1f} dB, on the pessimistic machine by {pessimistic:+.1f} dB, for "
            f"{single.casts - half.casts} more casts"
        )
    answer = (
        f"less than {ATTENTION_MATTERS_DB:.0f} dB: its products may be float16"
        if max(changes) < ATTENTION_MATTERS_DB
        else f"up to {max(changes):.1f} dB: where that counts, its products belong into float32"
    )
    yield (
        "## Attention in float16 or float32\n\n"
        "The source design leaves open whether the matrix products in attention should be float16 or float32.\n"
        "Attention in float32, and all else as it is, changes the worst stem of\n"
        f"{'; of '.join(facts)}.\n"
        f"That gains {answer}.\n\n"
        + _table(["variant", "attention", "worst", STRESS, "pessimistic", "float16", "casts"], rows)
    )


def _palettes(packages: Mapping[str, PackageFigures]) -> Iterator[str]:
    palettes = {int(found[1]): one for name, one in packages.items() if (found := _PALETTE.fullmatch(name))}
    if not palettes:
        return
    rows = (
        [
            str(bits),
            f"{one.bytes / 1e6:.1f}",
            _db(one.weights_snr_db),
            _db(held_out_worst_db(one)),
            _change(_largest([figure for columns in _deciding(one) for figure in columns.si_sdr_change_db])),
        ]
        for bits, one in sorted(palettes.items(), reverse=True)
    )
    section = "## Palettes\n\n" + _table(["bits", "MB", "weights", "worst", "SI-SDR"], rows)
    if (six := palettes.get(6)) is not None:
        worst, weights = held_out_worst_db(six), six.weights_snr_db
        if worst < _AIM_DB:
            missing = math.ceil((_AIM_DB - worst) / _DB_A_BIT)
            section += (
                f"\n\n**{_AIM_DB:.0f} dB with 6 bits, which the source design hopes for, is out of reach.** "
                "The best palette of 64 entries leaves normally\n"
                f"distributed weights at {normal_palette_db(6):.1f} dB; here the weights keep {weights:.1f} dB and "
                f"the worst stem {worst:.1f} dB. A bit gains {_DB_A_BIT:.0f} dB, so\n"
                f"{_AIM_DB:.0f} dB would take {missing} more, {6 + missing} in all, and Core ML's palettes end at 8."
            )
        else:
            section += f"\n\nWith 6 bits, the worst stem keeps {worst:.1f} dB."
    yield section


def normal_palette_db(bits: int) -> float:
    """SNR in dB of normally distributed values under the best palette of ``2^bits`` entries, for many entries.

    Source: Panter, Dite, "Quantization distortion in pulse-count modulation with nonuniform spacing of levels", 1951: a
    noise of ``sqrt(3) pi / 2`` of the variance through the square of the number of entries.
    """
    return 10 * math.log10(4**bits / (math.sqrt(3) * math.pi / 2))


def _by_signal(
    packages: Mapping[str, PackageFigures], signals: Sequence[str], figure: Callable[[SignalFigures], str]
) -> str:
    rows = ([f"`{name}`", *(figure(one.signals[signal]) for signal in signals)] for name, one in packages.items())
    return _table(["variant", *signals], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def _deciding(figures: PackageFigures) -> list[SignalFigures]:
    return [columns for name, columns in figures.signals.items() if name != STRESS]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _largest(changes: Sequence[float]) -> float:
    """The change by which most is lost, or, where nothing is lost, the largest."""
    return min(changes) if min(changes) < 0 else max(changes)


def _difference(after: float, before: float) -> float:
    return 0.0 if after == before else after - before


def _headroom(figures: PackageFigures) -> str:
    if math.isinf(figures.headroom):
        return _NONE
    return f"**{figures.headroom:.1f}**, flagged" if figures.headroom < LEAST_HEADROOM else f"{figures.headroom:.0f}"


def _db(value: float) -> str:
    return f"{value:.1f}"


def _change(value: float) -> str:
    # Adding zero makes minus zero plus zero.
    return f"{round(value, 3) + 0.0:+.3f}"


def _error(value: float) -> str:
    return f"{value:.1e}"
