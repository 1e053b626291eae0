"""Files of any rate and number of channels become stems of the same rate and length that add up."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from encoded_audio import encode
from fake_cores import FakeCore, context_dependent_core, gains_core
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.tags import Tags
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.pipeline.chunk_plan import ChunkPlan, demucs_plan, design_plan
from htdemucs_coreml.pipeline.file_separation import (
    FLOAT32_WAV,
    FileOptions,
    FileTrack,
    SeparatedFile,
    separate_file,
    song_name,
)
from htdemucs_coreml.pipeline.separation import SeparationError, UnknownStemError, separate
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE, OutputError
from htdemucs_coreml.pipeline.track import BLOCK_SAMPLES

SEGMENT = 8192
DESIGN = design_plan(segment_samples=SEGMENT)
DEFAULTS = FileOptions()
GAINS = {"drums": 0.5, "bass": -1.0, "vocals": 0.25}


def song(seconds: float, rate_hz: int, channels: int = 2) -> Tensor:
    """Swelling tones, one for each channel, with nothing above 2 kHz."""
    frames = int(seconds * rate_hz)
    time = torch.arange(frames, dtype=torch.float64) / rate_hz
    swell = torch.sin(math.pi * torch.arange(frames) / frames) ** 2
    tones = [0.3 * torch.sin(2 * math.pi * 330 * (1 + channel) * time) * swell for channel in range(channels)]
    return torch.stack(tones).float()


def write(path: Path, samples: Tensor, rate_hz: int) -> Path:
    soundfile.write(path, samples.T.numpy(), rate_hz, subtype="FLOAT")
    return path


def read(path: Path) -> Tensor:
    return torch.cat(list(AudioFile(path).blocks(1 << 16)), dim=1)


def separated(tmp_path: Path, samples: Tensor, rate_hz: int, options: FileOptions = DEFAULTS) -> SeparatedFile:
    path = write(tmp_path / "song.wav", samples, rate_hz)
    return separate_file(path, tmp_path / "out", gains_core(GAINS, SEGMENT), DESIGN, options)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_have_the_inputs_rate_and_length_and_are_stereo(tmp_path: Path, rate_hz: int, channels: int) -> None:
    samples = song(1.23, rate_hz, channels)
    result = separated(tmp_path, samples, rate_hz)
    assert result.folder == tmp_path / "out" / "song"
    assert sorted(result.folder.iterdir()) == sorted([*result.stems.values(), result.folder / RECORD_FILE])
    assert list(result.stems) == list(GAINS)
    for stem, path in result.stems.items():
        assert path == result.folder / f"{stem}.wav"
        info = soundfile.info(path)
        assert (info.samplerate, info.frames, info.channels, info.subtype) == (rate_hz, samples.shape[1], 2, "FLOAT")
        assert snr_db(read(path), GAINS[stem] * samples.expand(2, -1)) >= 110


@pytest.mark.parametrize("frames", [1, 2, 3, 100, 4095, 4096, 4097])
@pytest.mark.parametrize("rate_hz", [8_000, 44_056, 44_100, 192_000])
def test_a_file_of_a_few_frames_is_separated(tmp_path: Path, rate_hz: int, frames: int) -> None:
    result = separated(tmp_path, torch.full((2, frames), 0.5), rate_hz)
    stem = read(result.stems["drums"])
    assert stem.shape == (2, frames)
    assert stem.isfinite().all()
    assert stem.abs().max() > 0


@pytest.mark.parametrize("plan", [DESIGN, demucs_plan(segment_samples=SEGMENT)], ids=["design", "demucs"])
def test_a_file_gives_the_bits_that_its_samples_give_in_memory(tmp_path: Path, plan: ChunkPlan) -> None:
    samples = torch.randn(2, 3 * BLOCK_SAMPLES + 123, generator=torch.Generator().manual_seed(0))
    path = write(tmp_path / "song.wav", samples, 44_100)
    result = separate_file(path, tmp_path / "out", context_dependent_core(SEGMENT), plan)
    expected = separate(samples, context_dependent_core(SEGMENT), plan)
    for stem, path in zip(expected, result.stems.values(), strict=True):
        assert torch.equal(read(path), stem)


def test_a_file_gives_the_same_bytes_again(tmp_path: Path) -> None:
    first = separated(tmp_path, song(1.0, 48_000), 48_000)
    content = [path.read_bytes() for path in first.stems.values()]
    second = separated(tmp_path, song(1.0, 48_000), 48_000)
    assert [path.read_bytes() for path in second.stems.values()] == content


# Half a unit in the last place of a float32, relative to it, and half the smallest.
ROUNDING, SMALLEST = 2.0**-24, 2.0**-150


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate_hz=st.sampled_from([8_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]),
    channels=st.integers(1, 2),
    frames=st.integers(1, 30_000),
    level=st.sampled_from([1e-40, 1e-6, 0.1, 4.0]),
    gain=st.floats(-3, 3, width=32),
    seed=st.integers(0, 99),
    plan=st.sampled_from([DESIGN, demucs_plan(segment_samples=SEGMENT)]),
)
def test_the_rest_is_the_input_less_the_stem_rounded_once(
    tmp_path: Path, rate_hz: int, channels: int, frames: int, level: float, gain: float, seed: int, plan: ChunkPlan
) -> None:
    # White noise: what lies above the core's Nyquist frequency belongs to the rest.
    samples = level * torch.randn(channels, frames, generator=torch.Generator().manual_seed(seed))
    path = write(tmp_path / "song.wav", samples, rate_hz)
    core = gains_core({"drums": gain, "bass": 1.0}, SEGMENT)
    result = separate_file(path, tmp_path / "out", core, plan, FileOptions(two_stems="drums"))
    assert list(result.stems) == ["drums", "no_drums"]
    stem, rest = (read(file) for file in result.stems.values())
    mix = samples.expand(2, -1)
    assert torch.equal(rest, mix - stem)
    exact_error = (stem.double() + rest.double() - mix.double()).abs()
    assert bool((exact_error <= ROUNDING * rest.double().abs() + SMALLEST).all())


@pytest.mark.parametrize(("encoding", "step"), [(Encoding.INT24, 2**-23), (Encoding.INT16, 2**-15)])
def test_integer_stems_add_up_to_the_input_to_one_step(tmp_path: Path, encoding: Encoding, step: float) -> None:
    samples = 0.1 * torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    options = FileOptions(two_stems="bass", audio_format=AudioFormat(Container.WAV, encoding), clip_mode=ClipMode.NONE)
    result = separated(tmp_path, samples, 48_000, options)
    parts = [read(path).double() for path in result.stems.values()]
    # Half a step from each, and what float32 rounded before.
    assert (parts[0] + parts[1] - samples).abs().max() <= step + ROUNDING * parts[1].abs().max()
    assert parts[0].abs().max() > 0.1


def test_chosen_stems_are_written_and_no_others(tmp_path: Path) -> None:
    result = separated(tmp_path, song(0.3, 44_100), 44_100, FileOptions(stems=("vocals", "drums")))
    assert sorted(path.name for path in result.folder.iterdir()) == [RECORD_FILE, "drums.wav", "vocals.wav"]
    assert snr_db(read(result.stems["vocals"]), 0.25 * song(0.3, 44_100)) >= 110


@pytest.mark.parametrize("options", [FileOptions(stems=("drum",)), FileOptions(two_stems="drum")])
def test_a_stem_that_the_model_lacks_is_an_error(tmp_path: Path, options: FileOptions) -> None:
    with pytest.raises(UnknownStemError, match="separates drums, bass, vocals"):
        separated(tmp_path, song(0.1, 44_100), 44_100, options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "a b", "nul\0"])
def test_a_models_stem_whose_name_is_no_file_name_is_an_error(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "song.wav", song(0.1, 44_100), 44_100)
    with pytest.raises(SeparationError, match="cannot be the name of a file"):
        separate_file(path, tmp_path / "out", gains_core({name: 1.0}, SEGMENT), DESIGN)


FORMATS = [(Container.WAV, Encoding.INT24), (Container.WAV, Encoding.INT16), (Container.FLAC, Encoding.INT24)]


@pytest.mark.parametrize(("container", "encoding"), FORMATS)
def test_integer_files_hold_what_fits_them(tmp_path: Path, container: Container, encoding: Encoding) -> None:
    options = FileOptions(audio_format=AudioFormat(container, encoding))
    result = separated(tmp_path, song(0.5, 44_100), 44_100, options)
    assert result.stems["bass"].suffix == f".{container}"
    step = {Encoding.INT24: 2**-23, Encoding.INT16: 2**-15}[encoding]
    assert (read(result.stems["bass"]) + song(0.5, 44_100)).abs().max() <= step


def test_by_default_integers_are_rescaled_and_floats_kept_where_they_exceed_full_scale(tmp_path: Path) -> None:
    loud = 5 * song(0.5, 44_100)
    kept = separated(tmp_path, loud, 44_100)
    assert read(kept.stems["bass"]).abs().max() > 1.2
    options = FileOptions(audio_format=AudioFormat(Container.WAV, Encoding.INT16))
    rescaled = read(separated(tmp_path, loud, 44_100, options).stems["bass"])
    assert rescaled.abs().max().item() == pytest.approx(1 / 1.01, abs=1e-3)
    assert snr_db(rescaled / rescaled.abs().max(), -loud / loud.abs().max()) >= 60
    cut = FileOptions(audio_format=options.audio_format, clip_mode=ClipMode.NONE)
    assert (read(separated(tmp_path, loud, 44_100, cut).stems["bass"]).abs() >= 0.9999).float().mean() > 0.01


def test_5_1_is_separated_where_downmixing_is_asked_for(tmp_path: Path) -> None:
    samples = song(0.3, 44_100, channels=6)
    with pytest.raises(AudioError, match="6 channels"):
        separated(tmp_path, samples, 44_100)
    result = separated(tmp_path, samples, 44_100, FileOptions(downmix=True))
    assert read(result.stems["drums"]).shape == (2, samples.shape[1])


def test_a_stem_that_would_replace_the_input_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "drums" / "drums.wav"
    path.parent.mkdir()
    content = write(path, song(0.1, 44_100), 44_100).read_bytes()
    with pytest.raises(OutputError, match="would replace the input"):
        separate_file(path, tmp_path, gains_core(GAINS, SEGMENT), DESIGN)
    assert path.read_bytes() == content


def nan_in_the_second_segment(waveform: Tensor) -> Tensor:
    return torch.stack([waveform, waveform * torch.nan if (waveform[0, 0] == 1) else waveform])


@pytest.mark.parametrize("clip_mode", ClipMode)
def test_nothing_is_left_of_a_song_that_fails_half_way(tmp_path: Path, clip_mode: ClipMode) -> None:
    samples = torch.zeros(2, 3 * SEGMENT)
    samples[:, DESIGN.stride_samples] = 1
    path = write(tmp_path / "song.wav", samples, 44_100)
    core = FakeCore(("a", "b"), SEGMENT, nan_in_the_second_segment)
    with pytest.raises(SeparationError, match="stem b in segment 1"):
        separate_file(path, tmp_path / "out", core, DESIGN, FileOptions(clip_mode=clip_mode))
    assert list(tmp_path.iterdir()) == [path]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def with_nan(path: Path) -> None:
    samples = np.zeros((50_000, 2), np.float32)
    samples[40_000] = np.nan
    soundfile.write(path, samples, 44_100, subtype="FLOAT")


@pytest.mark.parametrize("damage", [truncated, with_nan, Path.unlink])
def test_nothing_is_left_of_a_song_that_cannot_be_read(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = write(tmp_path / "song.wav", song(1, 44_100), 44_100)
    damage(path)
    core = gains_core(GAINS, SEGMENT)
    with pytest.raises(AudioError, match=r"song\.wav"):
        separate_file(path, tmp_path / "out", core, DESIGN)
    assert not (tmp_path / "out").exists()
    assert core.predictions == 0


def test_a_file_track_has_blocks_of_one_size_at_any_rate(tmp_path: Path) -> None:
    audio = AudioFile(write(tmp_path / "song.wav", song(4.0, 32_000), 32_000))
    track = FileTrack(audio)
    lengths = [block.shape[1] for block in track.blocks()]
    assert lengths == [BLOCK_SAMPLES, BLOCK_SAMPLES, 4 * 44_100 - 2 * BLOCK_SAMPLES]
    assert sum(lengths) == track.samples


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/song.mp3", "song"),
        ("song.live.flac", "song.live"),
        ("song", "song"),
        (".wav", ".wav"),
        ("...wav", "...wav"),
    ],
)
def test_a_songs_folder_has_the_files_name_and_never_leads_elsewhere(path: str, name: str) -> None:
    assert song_name(Path(path)) == name


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_an_m4a_file_becomes_stems_of_its_length(tmp_path: Path, codec: str, channels: int) -> None:
    samples = song(1.0, 48_000, channels)
    path = encode(tmp_path / "song.m4a", samples.T.numpy(), codec, rate_hz=48_000)
    result = separate_file(path, tmp_path / "out", gains_core(GAINS, SEGMENT), DESIGN)
    for stem, file in result.stems.items():
        assert soundfile.info(file).frames == 48_000
        assert snr_db(read(file), GAINS[stem] * samples.expand(2, -1)) >= (110 if codec == "alac" else 30)


def test_an_m4a_file_of_5_1_is_mixed_down_as_wav_is(tmp_path: Path) -> None:
    samples = song(0.5, 44_100, channels=6)
    encode(tmp_path / "song.m4a", samples.T.numpy(), "alac")
    write(tmp_path / "song.wav", samples, 44_100)
    from_m4a, from_wav = (
        torch.cat(list(FileTrack(AudioFile(tmp_path / name), downmix=True).stereo_blocks()), dim=1)
        for name in ("song.m4a", "song.wav")
    )
    assert (from_m4a - from_wav).abs().max() <= 2**-22


@pytest.mark.parametrize("audio_format", [FLOAT32_WAV, AudioFormat(Container.FLAC, Encoding.INT16)], ids=str)
def test_stems_have_the_tags_of_their_song(tmp_path: Path, audio_format: AudioFormat) -> None:
    tags = {"title": "Für Elise", "artist": "Ludwig", "track": "3/12"}
    path = encode(tmp_path / "song.m4a", song(0.3, 44_100).T.numpy(), "alac", tags=tags)
    options = FileOptions(audio_format=audio_format)
    result = separate_file(path, tmp_path / "out", gains_core(GAINS, SEGMENT), DESIGN, options)
    for file in result.stems.values():
        assert AudioFile(file).tags == Tags(title="Für Elise", artist="Ludwig", track_number="3/12")


def test_a_song_that_changes_while_it_is_separated_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", song(2.0, 44_100), 44_100)

    def touch(segments_done: int, _segments_total: int) -> None:
        if segments_done == 1:
            os.utime(path, ns=(0, 0))

    with pytest.raises(AudioError, match="the file changed while it was read"):
        separate_file(path, tmp_path / "out", gains_core(GAINS, SEGMENT), DESIGN, progress=touch)
    assert not (tmp_path / "out").exists()
