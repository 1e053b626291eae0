"""The page: a description in, HTML out, with everything in it."""

import base64
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from htdemucs_coreml.cli.terminal_text import printable
from htdemucs_coreml.files import atomic_file
from htdemucs_coreml.listening.description import Report, Samples, Song, Stem
from htdemucs_coreml.listening.errors import ListeningError
from htdemucs_coreml.listening.figures import change, clock, decibels, error
from htdemucs_coreml.listening.levels import FARTHEST_DB, headroom, matched, matching_gain_db
from htdemucs_coreml.listening.pictures import HIGHEST_HZ, LOWEST_HZ, RANGE_DB, pictures
from htdemucs_coreml.listening.plots import Plot, dot_plot
from htdemucs_coreml.listening.sound import CODEC, MEDIA_TYPE, flac
from htdemucs_coreml.songs.quality import SongScore, StemScore, over_songs

_FOLDER = Path(__file__).parent / "page"
_CHARTED = "SI-SDR"
# Some seconds take more bytes than others.
_SAFETY = 0.98


def write_page(report: Report, path: Path, maximum_bytes: int) -> int:
    """Write a page, whole or not at all, and return its size in bytes.

    Raises
    ------
    ListeningError
        If it would be larger than `maximum_bytes`, or cannot be made.
    OSError
        If the file cannot be written.
    """
    songs = _songs(report)
    content = _filled(report, songs).encode()
    if len(content) > maximum_bytes:
        length = max(song.mix.shape[1] for song in report.songs) / report.sample_rate_hz
        sounds = sum(map(_sounds_bytes, songs))
        share = (maximum_bytes - (len(content) - sounds)) / sounds
        fitting = math.floor(10 * length * share * _SAFETY) / 10
        raise ListeningError(
            f"{path} would have {len(content) / 1e6:.1f} MB, more than the {maximum_bytes / 1e6:g} MB that are "
            "allowed; "
            + (f"take --seconds {fitting:g}" if fitting >= 1 else "take fewer songs")
            + ", or more --megabytes"
        )
    with atomic_file(path) as partial:
        partial.write_bytes(content)
    return len(content)


def render(report: Report) -> str:
    """The page as HTML; a pure function of what is reported.

    Raises
    ------
    ListeningError
        If an excerpt cannot be encoded.
    """
    return _filled(report, _songs(report))


def _filled(report: Report, songs: Sequence[dict[str, Any]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"db": decibels, "error": error, "clock": clock, "signed": change, "data_url": _data_url}
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        title=printable(report.title),
        notes=[printable(note) for note in report.notes],
        results=[printable(name) for name in report.results],
        summary=_summary(report),
        songs=songs,
        sample_rate_hz=report.sample_rate_hz,
        excerpt_seconds=max(song.mix.shape[1] for song in report.songs) / report.sample_rate_hz,
        codec=CODEC,
        media_type=MEDIA_TYPE,
        charted=_CHARTED,
        lowest_hz=LOWEST_HZ,
        highest_hz=HIGHEST_HZ,
        range_db=RANGE_DB,
        # What stands in the page's own file is the page's: nothing of the input goes into either.
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    """What the page may do: run its own script and show its own style and pictures, and reach nothing."""
    sources = {
        "default-src": "'none'",
        "script-src": _source_of(script),
        "style-src": _source_of(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{directive} {source}" for directive, source in sources.items())


def _source_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@dataclass(frozen=True)
class _Worst:
    result: str
    song: str
    stem: str
    si_sdr_db: float


def _summary(report: Report) -> dict[str, Any]:
    totals = {name: over_songs(scores) for name, scores in report.scores.items()}
    stems = list(dict.fromkeys(stem.name for song in report.songs for stem in song.stems))
    limits = _limits(report)
    worst = min(_all_figures(report), key=lambda one: one.si_sdr_db, default=None)
    return {
        "songs": len(report.songs),
        "stems": len(stems),
        "totals": [
            {
                "result": printable(name),
                "all": asdict(rows["all"]),
                "rows": [
                    {"stem": printable(stem), "score": asdict(row)} for stem, row in rows.items() if stem != "all"
                ],
            }
            for name, rows in totals.items()
        ],
        "worst": worst,
        "plot": _plot(
            f"{_CHARTED} (dB), each song",
            stems,
            {name: [_figures(scores, stem) for stem in stems] for name, scores in report.scores.items()},
            limits,
        ),
        "stem_plots": [
            _plot(
                f"{printable(stem)}: {_CHARTED} (dB)",
                [song.name for song in report.songs],
                {
                    name: [_figures([score], stem) for score in _in_order(report, scores)]
                    for name, scores in report.scores.items()
                },
                limits,
            )
            for stem in stems
        ],
    }


def _all_figures(report: Report) -> Iterator[_Worst]:
    for name, scores in report.scores.items():
        for score in scores:
            for stem, row in score.stems.items():
                if row.si_sdr_db is not None:
                    yield _Worst(printable(name), printable(score.song), printable(stem), row.si_sdr_db)


def _in_order(report: Report, scores: Sequence[SongScore]) -> list[SongScore]:
    by_name = {score.song: score for score in scores}
    return [by_name[song.name] for song in report.songs]


def _figures(scores: Sequence[SongScore], stem: str) -> list[float]:
    rows = [score.stems[stem] for score in scores if stem in score.stems]
    return [row.si_sdr_db for row in rows if row.si_sdr_db is not None]


def _limits(report: Report) -> tuple[float, float]:
    """Of all charts of a page, so that they can be compared."""
    figures = [one.si_sdr_db for one in _all_figures(report) if math.isfinite(one.si_sdr_db)]
    return min(figures, default=0.0), max(figures, default=0.0)


def _plot(
    title: str, rows: Sequence[str], series: Mapping[str, list[list[float]]], limits: tuple[float, float]
) -> Plot:
    named = {printable(name): figures for name, figures in series.items()}
    return dot_plot(title, [printable(row) for row in rows], named, limits)


def _songs(report: Report) -> list[dict[str, Any]]:
    return [_song(report, song, at) for at, song in enumerate(report.songs)]


def _sounds_bytes(song: Mapping[str, Any]) -> int:
    """How much of the page a song's sounds are."""
    stems = song["stems"]
    sounds = [song["mix"], *(stem["reference"] for stem in stems)]
    sounds += [result["sound"] for stem in stems for result in stem["results"]]
    return sum(map(len, sounds))


def _song(report: Report, song: Song, at: int) -> dict[str, Any]:
    factor = headroom(song)
    rate_hz = report.sample_rate_hz
    scores = {name: _in_order(report, scores)[at] for name, scores in report.scores.items()}
    seconds = song.mix.shape[1] / rate_hz
    return {
        "name": printable(song.name),
        "seconds": song.seconds,
        "start_seconds": song.start_seconds,
        "end_seconds": song.start_seconds + seconds,
        "softer_db": 20 * math.log10(factor),
        "mix": _base64(flac((song.mix * factor).astype("float32"), rate_hz)),
        "plot": _plot(
            f"{_CHARTED} (dB)",
            [stem.name for stem in song.stems],
            {name: [_figures([score], stem.name) for stem in song.stems] for name, score in scores.items()},
            _limits(report),
        ),
        "stems": [
            _stem(stem, {name: score.stems[stem.name] for name, score in scores.items()}, song.mix, factor, rate_hz)
            for stem in song.stems
        ],
    }


def _stem(stem: Stem, scores: dict[str, StemScore], mix: Samples, factor: float, rate_hz: int) -> dict[str, Any]:
    drawn = pictures(stem.reference, stem.results, mix, rate_hz)

    def sound(samples: Samples) -> str:
        return _base64(flac((samples * factor).astype("float32"), rate_hz))

    return {
        "name": printable(stem.name),
        "seconds": stem.reference.shape[1] / rate_hz,
        "reference": sound(stem.reference),
        "picture": drawn.reference,
        "results": [
            {
                "name": printable(name),
                "sound": sound(matched(samples, stem.reference)),
                "level": _level(samples, stem.reference),
                "score": asdict(scores[name]),
                "picture": drawn.results[name],
                "difference": drawn.differences[name],
            }
            for name, samples in stem.results.items()
        ],
    }


def _level(result: Samples, reference: Samples) -> str:
    """What was done to a result's level, in words."""
    gain_db = matching_gain_db(result, reference)
    if gain_db is not None:
        return f"level matched by {change(gain_db)} dB"
    if not result.any() or not reference.any():
        return f"level as it is, the {'reference' if result.any() else 'result'} is silent here"
    return f"level as it is, more than {FARTHEST_DB:.0f} dB from the reference's"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{_base64(content)}"
