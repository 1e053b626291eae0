"""Whole audio files are read to their last sample; whatever else a path may name is one clear error."""

import math
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile

RATE_HZ = 44_100


def noise(frames: int, channels: int = 2) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(frames).standard_normal((frames, channels))).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], subtype: str | None = None, **options: object) -> Path:
    container = {".rf64": "RF64", ".wavex": "WAVEX", ".opus": "OGG"}.get(path.suffix)
    rate_hz = 48_000 if subtype == "OPUS" else RATE_HZ
    soundfile.write(path, samples, rate_hz, subtype=subtype, format=container, **options)
    return path


def read_all(path: Path, block_frames: int = 4096) -> torch.Tensor:
    return torch.cat(list(AudioFile(path).blocks(block_frames)), dim=1)


def cut(path: Path, keep: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    return path


LOSSLESS = [
    ("wav", "FLOAT"),
    ("wav", "DOUBLE"),
    ("aiff", "FLOAT"),
    ("w64", "FLOAT"),
    ("rf64", "FLOAT"),
    ("au", "FLOAT"),
]
INTEGERS = [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_U8"), ("flac", "PCM_16"), ("flac", "PCM_24")]
LOSSY = [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("opus", "OPUS")]


@pytest.mark.parametrize(("suffix", "subtype"), LOSSLESS)
def test_floating_point_files_are_read_exactly(tmp_path: Path, suffix: str, subtype: str) -> None:
    samples = noise(10_000)
    path = write(tmp_path / f"song.{suffix}", samples, subtype)
    assert torch.equal(read_all(path), torch.from_numpy(samples.T))


@pytest.mark.parametrize(("suffix", "subtype"), INTEGERS + LOSSY)
def test_every_frame_that_was_written_is_read(tmp_path: Path, suffix: str, subtype: str) -> None:
    samples = noise(100_000)
    path = write(tmp_path / f"song.{suffix}", samples, subtype)
    audio = AudioFile(path)
    assert (audio.frames, audio.channels) == (100_000, 2)
    assert audio.sample_rate_hz == (48_000 if subtype == "OPUS" else RATE_HZ)
    if (suffix, subtype) in INTEGERS:
        step = {"PCM_U8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23}[subtype]
        assert (read_all(path) - torch.from_numpy(samples.T)).abs().max() <= step


CONTAINERS = ["wav", "wavex", "rf64", "w64", "aiff", "caf", "au", "flac"]
EXACT_SUBTYPES = ["PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
ALAC_SUBTYPES = ["ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"]


def containers_and_subtypes() -> list[tuple[str, str]]:
    return [
        (suffix, subtype)
        for suffix in CONTAINERS
        for subtype in EXACT_SUBTYPES + ALAC_SUBTYPES
        if subtype in soundfile.available_subtypes(suffix)
    ]


@pytest.mark.parametrize(("suffix", "subtype"), containers_and_subtypes())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(frames=st.integers(1, 9000), channels=st.integers(1, 2), rate_hz=st.sampled_from([8_000, 44_056, 192_000]))
def test_what_libsndfile_writes_is_read_as_libsndfile_decodes_it(
    tmp_path: Path, suffix: str, subtype: str, frames: int, channels: int, rate_hz: int
) -> None:
    path = tmp_path / f"song.{suffix}"
    # libsndfile writes AIFF files of an odd number of bytes with a frame too many.
    frames += frames % 2 if suffix == "aiff" else 0
    soundfile.write(path, noise(frames, channels), rate_hz, subtype=subtype, format=suffix.upper())
    audio = AudioFile(path)
    assert (audio.sample_rate_hz, audio.channels, audio.frames) == (rate_hz, channels, frames)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert torch.equal(read_all(path), torch.from_numpy(expected.T))
    if subtype in ("FLOAT", "DOUBLE"):
        assert torch.equal(read_all(path), torch.from_numpy(noise(frames, channels).T))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(frames=st.integers(1, 3000), channels=st.integers(1, 8), block_frames=st.integers(1, 3500))
def test_blocks_have_the_length_asked_for_but_for_the_last(
    tmp_path: Path, frames: int, channels: int, block_frames: int
) -> None:
    samples = noise(frames, channels)
    audio = AudioFile(write(tmp_path / "song.wav", samples, "FLOAT"))
    blocks = list(audio.blocks(block_frames))
    assert [block.shape[1] for block in blocks[:-1]] == [block_frames] * (len(blocks) - 1)
    assert 1 <= blocks[-1].shape[1] <= block_frames
    assert torch.equal(torch.cat(blocks, dim=1), torch.from_numpy(samples.T))


def test_a_file_can_be_read_again_and_twice_at_once(tmp_path: Path) -> None:
    audio = AudioFile(write(tmp_path / "song.flac", noise(10_000)))
    for first, second in zip(audio.blocks(1000), audio.blocks(1000), strict=True):
        assert torch.equal(first, second)


def variable_bit_rate_mp3(path: Path, *, quiet_first: bool) -> tuple[Path, int]:
    """An MP3 of 10 s tone and 10 s noise, whose frames differ in size severalfold."""
    seconds = np.arange(20 * RATE_HZ) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 440 * seconds) * (seconds < 10)
    loud = 0.3 * np.random.default_rng(0).standard_normal(len(seconds)) * (seconds >= 10)
    samples = np.stack([tone + loud] * 2, axis=1).astype(np.float32)
    samples = samples if quiet_first else samples[::-1]
    return write(path, samples, bitrate_mode="VARIABLE", compression_level=0.1), len(samples)


def without_length(path: Path) -> Path:
    """Take the first frame off an MP3 file: the one that states the length, as encoders of streams omit it."""
    content = path.read_bytes()
    bit_rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    frame_bytes = 144_000 * bit_rates[content[2] >> 4] // RATE_HZ + (content[2] >> 1 & 1)
    assert b"Xing" in content[:frame_bytes]
    assert content[frame_bytes] == 0xFF
    path.write_bytes(content[frame_bytes:])
    return path


@pytest.mark.parametrize("quiet_first", [True, False])
def test_an_mp3_file_that_does_not_state_its_length_is_read_to_its_end(tmp_path: Path, quiet_first: bool) -> None:
    path, frames = variable_bit_rate_mp3(tmp_path / "song.mp3", quiet_first=quiet_first)
    assert AudioFile(path).frames == frames
    stripped = AudioFile(without_length(path))
    # Without the statement, the encoder's delay and padding cannot be told from music.
    assert frames <= stripped.frames <= frames + 3 * 1152
    last = torch.cat(list(stripped.blocks(10_000)), dim=1)[:, -RATE_HZ:]
    assert last.square().mean().sqrt() >= 0.01


def test_an_mp3_file_that_does_not_state_its_length_can_be_left_half_read(tmp_path: Path) -> None:
    path, _ = variable_bit_rate_mp3(tmp_path / "song.mp3", quiet_first=True)
    blocks = AudioFile(without_length(path)).blocks(1000)
    assert next(blocks).shape == (2, 1000)
    feeders = threading.active_count()
    del blocks
    assert threading.active_count() == feeders - 1


def test_a_wav_file_that_was_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", noise(1000), "PCM_16")
    for stated in (0xFFFFFFFF, 0x7FFFF000):
        content = bytearray(path.read_bytes())
        position = content.index(b"data") + 4
        content[position : position + 4] = stated.to_bytes(4, "little")
        path.write_bytes(content)
        assert AudioFile(path).frames == 1000


def test_junk_after_the_samples_of_a_wav_file_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", noise(1000), "PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST\xff\x00\x00\x00cut here")
    assert AudioFile(path).frames == 1000


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.95])
@pytest.mark.parametrize(
    "suffix_and_subtype",
    [*LOSSLESS, *INTEGERS, *LOSSY],
    ids=lambda pair: "-".join(pair),
)
def test_a_truncated_file_is_an_error(
    tmp_path: Path, suffix_and_subtype: tuple[str, str], keep: float, capfd: pytest.CaptureFixture[str]
) -> None:
    suffix, subtype = suffix_and_subtype
    path = cut(write(tmp_path / f"song.{suffix}", noise(200_000), subtype), keep)
    with pytest.raises(AudioError, match=f"song.{suffix}: the file is truncated"):
        assert AudioFile(path).frames
    assert capfd.readouterr().err == ""


def test_a_file_that_cannot_be_decoded_further_names_no_time_that_is_not_known(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "song.flac", noise(200_000), "PCM_16"), 0.5)
    with pytest.raises(AudioError) as raised:
        assert AudioFile(path).frames
    assert str(raised.value) == f"{path}: the file is truncated or damaged: not all of it can be decoded"


@pytest.mark.parametrize("keep", range(1, 3000, 211))
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "aiff"])
def test_a_file_cut_in_its_header_is_an_error(tmp_path: Path, suffix: str, keep: int) -> None:
    path = write(tmp_path / f"song.{suffix}", noise(20_000))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(AudioError, match=r"truncated|not an audio file|no samples"):
        assert AudioFile(path).frames


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg"])
def test_a_hole_in_a_file_is_an_error(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / f"song.{suffix}", noise(200_000))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8000] = bytes(8000)
    path.write_bytes(content)
    with pytest.raises(AudioError, match="truncated or damaged"):
        assert AudioFile(path).frames
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("page", [3, 5, -1])
def test_an_ogg_file_without_one_of_its_pages_is_an_error(tmp_path: Path, page: int) -> None:
    path = write(tmp_path / "song.ogg", noise(200_000))
    pages = re.split(b"(?=OggS)", path.read_bytes())[1:]
    del pages[page]
    path.write_bytes(b"".join(pages))
    with pytest.raises(AudioError, match="truncated or damaged"):
        AudioFile(path)


def test_what_follows_the_last_page_of_an_ogg_file_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "song.ogg", noise(20_000))
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert AudioFile(path).frames == 20_000


@pytest.mark.parametrize(("bad", "name"), [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite")])
@pytest.mark.parametrize("channel", [0, 1])
def test_a_sample_that_is_not_finite_is_an_error_with_its_position(
    tmp_path: Path, bad: float, name: str, channel: int
) -> None:
    samples = noise(100_000)
    samples[66_150, channel] = bad
    path = write(tmp_path / "song.wav", samples, "FLOAT")
    with pytest.raises(AudioError, match=rf"song.wav: the sample at 1\.500 s is {name}"):
        assert AudioFile(path).frames


NOT_AUDIO = {
    "text": b"To be, or not to be\n" * 500,
    "zeros": bytes(5000),
    "noise": np.random.default_rng(0).bytes(50_000),
    "sync words": b"\xff\xfb\x90\x44" + np.random.default_rng(1).bytes(300),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "one byte": b"R",
}


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "txt"])
@pytest.mark.parametrize("content", NOT_AUDIO.values(), ids=NOT_AUDIO)
def test_what_is_no_audio_is_an_error(
    tmp_path: Path, content: bytes, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"song.{suffix}"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"song.{suffix}: this is not an audio file"):
        AudioFile(path)
    assert capfd.readouterr().err == ""


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing.wav: there is no such file"):
        AudioFile(tmp_path / "missing.wav")


def test_a_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", noise(10))
    with pytest.raises(AudioError, match="cannot be read: Not a directory"):
        AudioFile(path / "inner.wav")


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="this is a folder"):
        AudioFile(tmp_path)


def test_a_pipe_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioError, match="not a regular file"):
        AudioFile(tmp_path / "pipe")


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty.wav: the file is empty \(0 bytes\)"):
        AudioFile(tmp_path / "empty.wav")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "au"])
def test_a_file_without_samples_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"song.{suffix}", noise(0))
    with pytest.raises(AudioError, match="the file has no samples"):
        assert AudioFile(path).frames


def test_a_flac_file_without_a_stated_length_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "song.flac", noise(10_000))
    content = bytearray(path.read_bytes())
    # STREAMINFO: the last 4 bits of byte 13 and the next four bytes are the number of samples.
    content[8 + 13] &= 0xF0
    content[8 + 14 : 8 + 18] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(AudioError, match="does not state its length; write it anew"):
        AudioFile(path)


def test_a_name_that_is_not_utf_8_can_be_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    write(tmp_path / "song.wav", noise(100)).rename(path)
    assert AudioFile(path).frames == 100
