"""What a file says of its music is what its stems say, and nothing that hides in a tag gets further."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from encoded_audio import encode
from htdemucs_coreml.audio import wav
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.audio.tags import LONGEST_TAG_CHARACTERS, NO_TAGS, SOUNDFILE_TAG_NAMES, TAG_NAMES, Tags, tags_from
from htdemucs_coreml.audio.writing import AudioFormat, ClipMode, Container, Encoding, audio_writer

ALL = Tags(
    title="Für Elise №1",
    artist="Ludwig",
    album="Bagatellen",
    date="1810",
    track_number="3/12",
    genre="Klassik",
    comment="ohne",
    copyright="frei",
)
FORMATS = {
    "wav float32": AudioFormat(Container.WAV, Encoding.FLOAT32),
    "wav int24": AudioFormat(Container.WAV, Encoding.INT24),
    "wav int16": AudioFormat(Container.WAV, Encoding.INT16),
    "flac int16": AudioFormat(Container.FLAC, Encoding.INT16),
}
every_format = pytest.mark.parametrize("audio_format", FORMATS.values(), ids=FORMATS)
ANY_FILE = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
# What is for reading: no control characters, no surrogates, no space at either end.
texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=50).filter(
    lambda text: text == text.strip()
)
some_tags = st.builds(Tags, **{name: st.none() | texts for name in TAG_NAMES})


def noise(frames: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(frames).standard_normal((frames, 2))).astype(np.float32)


def write(path: Path, frames: int, audio_format: AudioFormat, tags: Tags, mode: ClipMode = ClipMode.NONE) -> Path:
    with audio_writer(path, audio_format, 44_100, frames, mode, tags) as write_block:
        write_block(torch.from_numpy(noise(frames).T))
    return path


@every_format
@ANY_FILE
@given(tags=some_tags, frames=st.integers(1, 5))
def test_tags_that_are_written_are_read_again(
    tmp_path: Path, audio_format: AudioFormat, tags: Tags, frames: int
) -> None:
    audio = AudioFile(write(tmp_path / "stem", frames, audio_format, tags))
    assert audio.tags == tags
    assert audio.frames == frames


@every_format
@pytest.mark.parametrize("mode", ClipMode)
def test_samples_are_the_same_with_and_without_tags(tmp_path: Path, audio_format: AudioFormat, mode: ClipMode) -> None:
    plain, tagged = (
        AudioFile(write(tmp_path / name, 1000, audio_format, tags, mode)) for name, tags in [("a", NO_TAGS), ("b", ALL)]
    )
    assert torch.equal(next(plain.blocks(1000)), next(tagged.blocks(1000)))


@pytest.mark.parametrize("encoding", Encoding)
def test_a_wav_files_tags_are_a_chunk_after_the_samples(tmp_path: Path, encoding: Encoding) -> None:
    audio_format = AudioFormat(Container.WAV, encoding)
    plain = write(tmp_path / "plain", 1001, audio_format, NO_TAGS).read_bytes()
    tagged = write(tmp_path / "tagged", 1001, audio_format, ALL).read_bytes()
    # All but the size of the outer chunk.
    assert tagged[:4] + tagged[8 : len(plain)] == plain[:4] + plain[8:]
    assert struct.unpack("<I", tagged[4:8])[0] == len(tagged) - 8
    assert tagged[len(plain) :].startswith(b"LIST")
    assert struct.unpack("<I", tagged[len(plain) + 4 : len(plain) + 8])[0] == len(tagged) - len(plain) - 8
    assert len(tagged) % 2 == 0


@every_format
def test_without_tags_a_file_has_no_room_for_them(tmp_path: Path, audio_format: AudioFormat) -> None:
    content = write(tmp_path / "stem", 10, audio_format, NO_TAGS).read_bytes()
    assert b"LIST" not in content
    assert b"TITLE" not in content


@every_format
def test_bytes_depend_on_the_tags_alone(tmp_path: Path, audio_format: AudioFormat) -> None:
    first, second = (write(tmp_path / name, 100, audio_format, ALL).read_bytes() for name in ("a", "b"))
    assert first == second


def test_the_sizes_of_a_file_beyond_4_gib_count_its_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "_LARGEST_RIFF_BYTES", 100)
    path = write(tmp_path / "long.wav", 1000, FORMATS["wav float32"], ALL)
    content = path.read_bytes()
    assert content[:4] == b"RF64"
    assert struct.unpack("<QQQ", content[20:44]) == (len(content) - 8, 8000, 1000)
    audio = AudioFile(path)
    assert (audio.frames, audio.tags) == (1000, ALL)


def test_tags_count_where_a_file_just_fits_into_4_gib() -> None:
    frames = (0xFFFFFFFF - 4 - 26 - 12 - 8) // 8
    assert wav.wav_header(None, 44_100, frames, 0).startswith(b"RIFF")
    assert wav.wav_header(None, 44_100, frames, 10).startswith(b"RF64")


@pytest.mark.parametrize("name", ["wav float32", "flac int16"])
def test_another_program_reads_the_tags(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "stem", 1000, FORMATS[name], ALL)
    with av.open(str(path)) as container:
        found = {key.lower(): text for key, text in container.metadata.items()}
    expected = {"track" if key == "track_number" else key: text for key, text in ALL.items()}
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "ogg", "caf", "rf64"])
def test_tags_by_libsndfile_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    with soundfile.SoundFile(path, "w", 44_100, 2, format={"rf64": "RF64"}.get(suffix)) as file:
        for name, text in ALL.items():
            setattr(file, SOUNDFILE_TAG_NAMES.get(name, name), text)
        file.write(noise(1000))
    # AIFF has four kinds of text.
    names = ("title", "artist", "comment", "copyright") if suffix == "aiff" else TAG_NAMES
    found = AudioFile(path).tags
    assert {name: getattr(found, name) for name in names} == {name: getattr(ALL, name) for name in names}


@pytest.mark.parametrize("suffix", ["m4a", "mov"])
@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_tags_of_m4a_files_are_read(tmp_path: Path, suffix: str, codec: str) -> None:
    given_tags = {"track" if name == "track_number" else name: text for name, text in ALL.items()}
    path = encode(tmp_path / f"song.{suffix}", noise(5000), codec, tags=given_tags)
    found = AudioFile(path).tags
    expected = ALL if suffix == "m4a" else Tags(**{**dict(ALL.items()), "track_number": found.track_number})
    assert found == expected


def id3(**frames: str) -> bytes:
    """An ID3v2.3 tag with texts in UTF-16."""
    body = b"".join(
        name.encode() + struct.pack(">IH", len(text := b"\x01" + words.encode("utf-16")), 0) + text
        for name, words in frames.items()
    )
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def test_tags_of_mp3_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    soundfile.write(path, noise(50_000), 44_100)
    path.write_bytes(id3(TIT2="Für Elise", TPE1="Ludwig", TALB="Bagatellen") + path.read_bytes())
    audio = AudioFile(path)
    assert (audio.tags.title, audio.tags.artist, audio.tags.album) == ("Für Elise", "Ludwig", "Bagatellen")
    assert audio.frames == 50_000


@given(text=st.text(max_size=100) | st.text(alphabet="\x00\x07\x1b\n\r\t\x7f\x85\u2028\ud800a", max_size=20))
def test_control_characters_of_tags_become_spaces(text: str) -> None:
    cleaned = tags_from(lambda name: text if name == "title" else None).title
    if cleaned is not None:
        assert cleaned.encode()
        assert cleaned == cleaned.strip() != ""
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in cleaned)


def test_a_tag_of_a_megabyte_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    with soundfile.SoundFile(path, "w", 44_100, 2) as file:
        file.title = "ä" * 500_000
        file.write(noise(100))
    assert AudioFile(path).tags == Tags(title="ä" * LONGEST_TAG_CHARACTERS)


@pytest.mark.parametrize("text", [b"Caf\xe9", b"\xff\xfe\x00", b"\x1b[2J\x07"])
def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path, text: bytes) -> None:
    plain = write(tmp_path / "song.wav", 100, FORMATS["wav int16"], Tags(title="x" * len(text)))
    plain.write_bytes(plain.read_bytes().replace(b"x" * len(text), text))
    title = AudioFile(plain).tags.title
    copy = write(tmp_path / "stem.wav", 100, FORMATS["wav int16"], Tags(title=title))
    assert AudioFile(copy).tags.title == title
    assert title is None or "\x1b" not in title
