"""What a file cannot be, states that it cannot hold, or becomes while it is read, is one error and takes no memory."""

import errno
import math
import os
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from encoded_audio import encode
from htdemucs_coreml.audio import files
from htdemucs_coreml.audio.channels import StereoMixer
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.wav import wav_header

RATE_HZ = 44_100


def noise(frames: int, channels: int = 2) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(frames).standard_normal((frames, channels))).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], rate_hz: int = RATE_HZ, **options: str) -> Path:
    container = {".rf64": "RF64"}.get(path.suffix)
    soundfile.write(path, samples, rate_hz, format=container, **options)
    return path


def overwritten(path: Path, position: int, content: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(content)
    return path


@pytest.mark.parametrize("rate_hz", [1, 7_999, 192_001, 384_000, 2**31 - 1])
def test_a_rate_that_is_not_supported_is_an_error_that_says_which_are(tmp_path: Path, rate_hz: int) -> None:
    path = overwritten(write(tmp_path / "song.wav", noise(100), subtype="PCM_16"), 24, struct.pack("<I", rate_hz))
    with pytest.raises(AudioError, match=rf"song.wav: audio at {rate_hz} Hz .* from 8000 to 192000 Hz are supported"):
        AudioFile(path)


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
def test_the_first_and_last_supported_rates_are_read(tmp_path: Path, rate_hz: int) -> None:
    assert AudioFile(write(tmp_path / "song.wav", noise(100), rate_hz)).frames == 100


def test_a_rate_of_an_m4a_file_has_the_same_bounds(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="7350 Hz cannot be resampled"):
        AudioFile(encode(tmp_path / "song.m4a", noise(5000), "aac", rate_hz=7350))


@pytest.mark.parametrize("channels", [7, 8, 1000])
@pytest.mark.parametrize("downmix", [False, True])
def test_more_channels_than_can_be_mixed_down_are_an_error(tmp_path: Path, channels: int, downmix: bool) -> None:
    audio = AudioFile(write(tmp_path / "song.wav", noise(10, channels)))
    with pytest.raises(AudioError, match=f"{channels} channels"):
        StereoMixer(audio.channels, downmix=downmix, container=audio.container)


def sized(path: Path, position: int, form: str, size: int) -> Path:
    return overwritten(path, position, struct.pack(form, size))


# Suffix, where the size of the samples stands, how, and what is stated: some GiB, or as much as there can be.
ABSURD_SIZES = {
    "wav": ("wav", 40, "<I", 0xF0000000),
    "aiff": ("aiff", 42, ">I", 0x7000_0000),
    "rf64": ("rf64", 28, "<Q", 1 << 62),
    "caf": ("caf", None, ">q", 1 << 62),
    "au": ("au", 8, ">I", 0x7000_0000),
}


@pytest.mark.parametrize(("suffix", "position", "form", "size"), ABSURD_SIZES.values(), ids=ABSURD_SIZES)
def test_gigabytes_that_are_stated_where_ten_bytes_are_is_an_error(
    tmp_path: Path, suffix: str, position: int | None, form: str, size: int
) -> None:
    path = write(tmp_path / f"song.{suffix}", noise(100), subtype="PCM_16")
    content = path.read_bytes()
    samples_start = len(content) - 400
    if position is None:
        position = content.index(b"data") + 4
    path.write_bytes(content[: samples_start + 10])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError, match=f"song.{suffix}: .*(truncated|not an audio file)"):
        assert AudioFile(sized(path, position, form, size)).frames
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_flac_file_that_states_more_than_its_bytes_could_hold_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "song.flac", noise(100))
    content = bytearray(path.read_bytes())
    # STREAMINFO: the last 4 bits of byte 13 and the next four bytes are the number of samples.
    content[8 + 13] |= 0x0F
    content[8 + 14 : 8 + 18] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"states {(1 << 36) - 1} frames, which its {len(content)} bytes cannot hold"):
        AudioFile(path)


def test_an_m4a_file_of_as_many_packets_as_there_can_be_is_an_error_before_memory_is_taken(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.m4a", noise(5000), "aac")
    content = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # One size for all packets, and four billion of them.
    path = overwritten(path, content.rindex(b"stsz") + 8, struct.pack(">II", 1, 0xFFFFFFFF))
    with pytest.raises(AudioError, match=r"song.m4a: the file is damaged: it states 4294967295 packets"):
        AudioFile(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_m4a_file_that_states_a_century_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "song.m4a", noise(5000), "aac")
    content = path.read_bytes()
    overwritten(path, content.rindex(b"stts") + 16, struct.pack(">I", 0xFFFFFFFF))
    overwritten(path, content.rindex(b"elst") + 12, struct.pack(">I", 0xFFFFFFFF))
    with pytest.raises(AudioError, match=r"cannot hold|truncated or damaged"):
        assert AudioFile(path).frames


SILENT = {"flac": None, "wav": None, "ogg": "VORBIS", "mp3": None}


@pytest.mark.parametrize("suffix", SILENT)
def test_silence_that_unpacks_to_more_than_a_day_is_an_error(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered here: a day of silence takes a minute to write."""
    path = write(tmp_path / f"song.{suffix}", np.zeros((100_000, 2), np.float32))
    assert AudioFile(path).frames == 100_000
    monkeypatch.setattr(files, "LONGEST_HOURS", 2 / 3600)
    with pytest.raises(AudioError, match=f"song.{suffix}: the file is longer than .* h; cut it into parts"):
        assert AudioFile(path).frames


def test_a_file_that_states_no_length_is_not_unpacked_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "song.aac", noise(100_000), "aac", container="adts")
    monkeypatch.setattr(files, "LONGEST_HOURS", 1 / 3600)
    taken = 0
    with pytest.raises(AudioError, match="longer than"):
        for block in AudioFile(path).blocks(1024):
            taken += block.shape[1]
    assert taken <= RATE_HZ


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_in_the_middle_of_an_hour_that_is_not_finite_is_found_before_anything_is_separated(
    tmp_path: Path, bad: float
) -> None:
    frames, rate_hz = 3600 * 8000, 8000
    path = tmp_path / "hour.wav"
    header = wav_header(None, rate_hz, frames)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 8 * frames)
    overwritten(path, len(header) + 8 * (frames // 2), struct.pack("<f", bad))
    with pytest.raises(AudioError, match=r"hour.wav: the sample at 1800\.000 s is (NaN|infinite)"):
        assert AudioFile(path).frames


def test_a_file_of_more_than_4_gib_states_its_length_and_is_read_from_its_start(tmp_path: Path) -> None:
    """Sparse: most of its silence takes no room."""
    frames = (1 << 32) // 8 + 1000
    path = tmp_path / "long.wav"
    header = wav_header(None, 192_000, frames)
    assert header.startswith(b"RF64")
    with path.open("wb") as file:
        file.write(header + noise(100).tobytes())
        file.truncate(len(header) + 8 * frames)
    blocks = AudioFile(path).blocks(100)
    assert np.array_equal(next(blocks).numpy().T, noise(100))
    path.write_bytes(b"")
    os.truncate(path, len(header))
    overwritten(path, 0, header)
    with pytest.raises(AudioError, match=f"truncated, {8 * frames} bytes of its samples are missing"):
        AudioFile(path)


@pytest.mark.parametrize("outer_size", [0, 0xFFFFFFFF, 36])
def test_a_wav_file_whose_writer_left_zeros_as_sizes_is_read_to_its_end(tmp_path: Path, outer_size: int) -> None:
    path = write(tmp_path / "song.wav", noise(10_000), subtype="PCM_16")
    expected = soundfile.read(path, dtype="float32")[0]
    overwritten(overwritten(path, 4, struct.pack("<I", outer_size)), 40, bytes(4))
    audio = AudioFile(path)
    assert audio.frames == 10_000
    assert np.array_equal(next(audio.blocks(10_000)).numpy().T, expected)


def test_an_empty_data_chunk_before_another_chunk_is_a_file_without_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", noise(0), subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    overwritten(path, 4, struct.pack("<I", path.stat().st_size - 8))
    with pytest.raises(AudioError, match="has no samples"):
        assert AudioFile(path).frames


CHANGING = ["wav", "flac", "m4a"]


def song(path: Path, frames: int = 50_000) -> Path:
    return encode(path, noise(frames), "aac") if path.suffix == ".m4a" else write(path, noise(frames))


@pytest.mark.parametrize("suffix", CHANGING)
def test_a_file_that_is_written_into_between_two_readings_is_an_error(tmp_path: Path, suffix: str) -> None:
    audio = AudioFile(song(tmp_path / f"song.{suffix}"))
    assert audio.frames == 50_000
    song(tmp_path / f"song.{suffix}", 60_000)
    with pytest.raises(AudioError, match=f"song.{suffix}: the file changed while it was read"):
        next(audio.blocks(1000))


@pytest.mark.parametrize("suffix", CHANGING)
def test_a_file_that_is_written_into_while_it_is_read_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = song(tmp_path / f"song.{suffix}")
    blocks = AudioFile(path).blocks(1000)
    next(blocks)
    os.utime(path, ns=(0, 0))
    with pytest.raises(AudioError, match=f"song.{suffix}: the file changed while it was read"):
        list(blocks)


@pytest.mark.parametrize("suffix", CHANGING)
def test_a_file_that_is_cut_while_it_is_read_is_said_to_have_changed(tmp_path: Path, suffix: str) -> None:
    path = song(tmp_path / f"song.{suffix}", 500_000)
    blocks = AudioFile(path).blocks(1000)
    next(blocks)
    os.truncate(path, 600_000 if suffix == "wav" else 100_000)
    with pytest.raises(AudioError, match=f"song.{suffix}: the file changed while it was read"):
        list(blocks)


@pytest.mark.parametrize("suffix", CHANGING)
def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(tmp_path: Path, suffix: str) -> None:
    path = song(tmp_path / f"song.{suffix}")
    blocks = AudioFile(path).blocks(1000)
    next(blocks)
    path.unlink()
    assert sum(block.shape[1] for block in blocks) == 49_000


@pytest.mark.parametrize("suffix", CHANGING)
def test_a_disk_that_fails_is_an_error_of_the_file_that_is_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Iterator[object]:
        yield torch.zeros(2, 1000)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    audio = AudioFile(song(tmp_path / f"song.{suffix}"))
    monkeypatch.setattr(type(audio._decoder), "blocks", failing)
    with pytest.raises(AudioError, match=rf"song\.{suffix}: the file cannot be read: Input/output error"):
        list(audio.blocks(1000))


def test_a_disk_that_fails_when_a_file_is_opened_is_an_error_of_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> object:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "content_of", failing)
    with pytest.raises(AudioError, match=r"song\.wav: the file cannot be read: Input/output error"):
        AudioFile(song(tmp_path / "song.wav"))


def test_another_file_in_its_place_is_an_error_at_the_next_reading(tmp_path: Path) -> None:
    audio = AudioFile(song(tmp_path / "song.wav"))
    song(tmp_path / "other.wav").replace(audio.path)
    with pytest.raises(AudioError, match="changed while it was read"):
        assert audio.frames
