"""What is written is what readers read, in bytes that depend on nothing else."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.audio import wav
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding, audio_writer

FORMATS = [
    AudioFormat(container, encoding)
    for container in Container
    for encoding in Encoding
    if (container, encoding) != (Container.FLAC, Encoding.FLOAT32)
]
every_format = pytest.mark.parametrize(
    "audio_format", FORMATS, ids=[f"{each.container}-{each.encoding}" for each in FORMATS]
)
STEPS = {Encoding.FLOAT32: 0.0, Encoding.INT24: 2**-23, Encoding.INT16: 2**-15}
ANY_FILE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def noise(frames: int, level: float = 0.1) -> Tensor:
    return level * torch.randn(2, frames, generator=torch.Generator().manual_seed(frames))


def write(
    path: Path,
    samples: Tensor,
    audio_format: AudioFormat,
    clip_mode: ClipMode = ClipMode.NONE,
    rate_hz: int = 44_100,
    block_frames: int = 1000,
) -> Path:
    with audio_writer(path, audio_format, rate_hz, samples.shape[1], clip_mode) as write_block:
        for block in samples.split(
            [block_frames] * (samples.shape[1] // block_frames) + [samples.shape[1] % block_frames], dim=1
        ):
            write_block(block)
    return path


def read(path: Path) -> Tensor:
    return torch.cat(list(AudioFile(path).blocks(1 << 16)), dim=1)


@every_format
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 96_000])
def test_files_hold_the_samples_at_their_rate(tmp_path: Path, audio_format: AudioFormat, rate_hz: int) -> None:
    samples = noise(10_001)
    path = write(tmp_path / "stem", samples, audio_format, rate_hz=rate_hz)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (rate_hz, 2, 10_001)
    assert info.format == audio_format.container.name
    expected = {Encoding.FLOAT32: "FLOAT", Encoding.INT24: "PCM_24", Encoding.INT16: "PCM_16"}
    assert info.subtype == expected[audio_format.encoding]
    assert (read(path) - samples).abs().max() <= STEPS[audio_format.encoding] / 2


@every_format
@ANY_FILE
@given(frames=st.integers(1, 5000), block_frames=st.integers(1, 5000))
def test_bytes_do_not_depend_on_the_blocks(
    tmp_path: Path, audio_format: AudioFormat, frames: int, block_frames: int
) -> None:
    at_once = write(tmp_path / "a", noise(frames), audio_format, block_frames=frames)
    in_blocks = write(tmp_path / "b", noise(frames), audio_format, block_frames=block_frames)
    assert at_once.read_bytes() == in_blocks.read_bytes()


def test_bytes_do_not_depend_on_the_time_or_the_name(tmp_path: Path) -> None:
    first = [write(tmp_path / f"{index}", noise(1000), each) for index, each in enumerate(FORMATS)]
    time.sleep(1.1)
    later = [write(tmp_path / f"again {index}", noise(1000), each) for index, each in enumerate(FORMATS)]
    assert [path.read_bytes() for path in later] == [path.read_bytes() for path in first]


@pytest.mark.parametrize("encoding", [Encoding.INT16, Encoding.INT24])
@pytest.mark.parametrize("container", Container)
def test_integers_that_were_read_are_written_as_the_same_integers(
    tmp_path: Path, container: Container, encoding: Encoding
) -> None:
    bits = {Encoding.INT16: 16, Encoding.INT24: 24}[encoding]
    extremes = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0, 1, -1]
    integers = np.array([extremes, extremes[::-1]], dtype=np.int64).T << (32 - bits)
    original = tmp_path / "original.wav"
    soundfile.write(original, integers.astype(np.int32), 44_100, subtype=f"PCM_{bits}")
    copy = write(tmp_path / "copy", read(original), AudioFormat(container, encoding))
    assert np.array_equal(soundfile.read(copy, dtype="int32")[0], integers)


@every_format
def test_without_clipping_only_integers_are_cut_at_full_scale(tmp_path: Path, audio_format: AudioFormat) -> None:
    samples = torch.tensor([[1.5, -1.5, 0.5], [-3.0, 3.0, -0.5]])
    written = read(write(tmp_path / "stem", samples, audio_format))
    expected = samples if audio_format.encoding is Encoding.FLOAT32 else samples.clamp(-1, 1)
    assert (written - expected).abs().max() <= STEPS[audio_format.encoding]


@every_format
def test_clamping_cuts_at_upstreams_level(tmp_path: Path, audio_format: AudioFormat) -> None:
    samples = torch.tensor([[1.5, -1.5, 0.5], [-3.0, 3.0, -0.995]])
    written = read(write(tmp_path / "stem", samples, audio_format, ClipMode.CLAMP))
    assert (written - samples.clamp(-0.99, 0.99)).abs().max() <= STEPS[audio_format.encoding]


@every_format
def test_rescaling_makes_a_file_that_is_too_loud_quieter_as_a_whole(tmp_path: Path, audio_format: AudioFormat) -> None:
    samples = noise(200_000, level=0.5)
    written = read(write(tmp_path / "stem", samples, audio_format, ClipMode.RESCALE))
    assert written.abs().max().item() == pytest.approx(1 / 1.01, abs=1e-4)
    expected = samples / (1.01 * samples.abs().max())
    assert (written - expected).abs().max() <= STEPS[audio_format.encoding] + 1e-7
    assert [path.name for path in tmp_path.iterdir()] == ["stem"]


@every_format
def test_rescaling_leaves_other_files_alone(tmp_path: Path, audio_format: AudioFormat) -> None:
    plain = write(tmp_path / "plain", noise(5000), audio_format)
    assert write(tmp_path / "same", noise(5000), audio_format, ClipMode.RESCALE).read_bytes() == plain.read_bytes()


def test_flac_cannot_hold_floating_point_samples() -> None:
    with pytest.raises(AudioError, match="FLAC cannot hold float32"):
        AudioFormat(Container.FLAC, Encoding.FLOAT32)


@every_format
@pytest.mark.parametrize("clip_mode", ClipMode)
def test_a_file_of_another_length_than_announced_is_an_error(
    tmp_path: Path, audio_format: AudioFormat, clip_mode: ClipMode
) -> None:
    with (
        pytest.raises(AudioError, match="99 frames were written where 100 were announced"),
        audio_writer(tmp_path / "stem", audio_format, 44_100, 100, clip_mode) as write_block,
    ):
        write_block(noise(99))


def test_a_rate_that_flac_cannot_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="1000000 Hz could not be written"):
        write(tmp_path / "stem", noise(10), AudioFormat(Container.FLAC, Encoding.INT24), rate_hz=1_000_000)


def test_no_spool_remains_after_an_error(tmp_path: Path) -> None:
    audio_format = AudioFormat(Container.WAV, Encoding.INT16)
    with (
        pytest.raises(ZeroDivisionError),
        audio_writer(tmp_path / "stem", audio_format, 44_100, 100, ClipMode.RESCALE) as write_block,
    ):
        write_block(noise(50))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", Encoding)
def test_a_file_beyond_4_gib_is_rf64(tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "_LARGEST_RIFF_BYTES", 5000)
    samples = noise(2000)
    path = write(tmp_path / "long.wav", samples, AudioFormat(Container.WAV, encoding))
    info = soundfile.info(path)
    assert (info.format, info.frames) == ("RF64", 2000)
    assert (read(path) - samples).abs().max() <= STEPS[encoding] / 2


def test_the_limit_is_the_largest_number_that_the_header_can_hold() -> None:
    frames = (0xFFFFFFFF - 4 - 26 - 12 - 8) // 8
    assert wav.wav_header(None, 44_100, frames).startswith(b"RIFF")
    assert wav.wav_header(None, 44_100, frames + 1).startswith(b"RF64")
