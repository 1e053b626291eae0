"""AAC and ALAC are read to the sample that was encoded, and what is damaged, protected or ambiguous is an error."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from encoded_audio import aac_caf, encode
from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.files import AudioFile
from htdemucs_coreml.metrics import snr_db

RATE_HZ = 44_100
ANY_FILE = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

# How FFmpeg is asked for a file: suffix, codec, options.
LOSSLESS: dict[str, tuple[str, str, dict[str, str]]] = {
    "alac in m4a": ("m4a", "alac", {}),
    "alac in caf": ("caf", "alac", {}),
    "pcm in mov": ("mov", "pcm_s24le", {}),
    "float pcm in mov": ("mov", "pcm_f32le", {}),
}
AAC: dict[str, tuple[str, str, dict[str, str]]] = {
    "m4a": ("m4a", "aac", {}),
    "m4a, header first": ("m4a", "aac", {"movflags": "+faststart"}),
    "mp4": ("mp4", "aac", {}),
    "mov": ("mov", "aac", {}),
    "3gp": ("3gp", "aac", {}),
}
ADTS = ("aac", "aac", {"container": "adts"})
Kind = tuple[str, str, dict[str, Any]]


def tones(frames: int, channels: int = 2, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    """Swelling tones, one for each channel, so that neither delay nor exchanged channels go unnoticed."""
    seconds = np.arange(frames) / rate_hz
    swell = np.sin(np.pi * np.arange(frames) / frames) ** 2
    return np.stack(
        [0.3 * swell * np.sin(2 * np.pi * 330 * (1 + channel) * seconds) for channel in range(channels)], axis=1
    ).astype(np.float32)


def noise(frames: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(frames).standard_normal((frames, 2))).astype(np.float32)


def write(folder: Path, samples: NDArray[np.float32], kind: Kind, **more: Any) -> Path:
    suffix, codec, options = kind
    return encode(folder / f"song.{suffix}", samples, codec, **{**options, **more})


def read(path: Path, block_frames: int = 4096) -> torch.Tensor:
    return torch.cat(list(AudioFile(path).blocks(block_frames)), dim=1)


def assert_aligned(decoded: torch.Tensor, samples: NDArray[np.float32]) -> None:
    """The samples have to fit better where they are than one frame earlier or later."""
    expected = torch.from_numpy(samples.T)
    assert decoded.shape == expected.shape
    here, earlier, later = (snr_db(decoded.roll(shift, 1), expected) for shift in (0, -1, 1))
    assert here >= max(earlier, later, 25)


@pytest.mark.parametrize("kind", LOSSLESS.values(), ids=LOSSLESS)
@ANY_FILE
@given(frames=st.integers(1, 20_000) | st.sampled_from([1, 2, 4095, 4096, 4097]))
def test_lossless_files_are_read_exactly(tmp_path: Path, kind: Kind, frames: int) -> None:
    samples = noise(frames)
    steps = 0 if kind[1] == "pcm_f32le" else 2**-23
    written = read(write(tmp_path, samples, kind))
    assert written.shape == (2, frames)
    assert (written - torch.from_numpy(samples.T)).abs().max() <= steps


@pytest.mark.parametrize("kind", AAC.values(), ids=AAC)
@ANY_FILE
@given(frames=st.integers(1, 20_000) | st.sampled_from([1, 2, 1023, 1024, 1025, 4095]))
def test_aac_has_every_frame_that_was_encoded_and_no_more(tmp_path: Path, kind: Kind, frames: int) -> None:
    assert AudioFile(write(tmp_path, noise(frames), kind)).frames == frames


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("kind", [AAC["m4a"], AAC["mov"]], ids=["m4a", "mov"])
def test_aac_is_read_without_the_encoders_delay(tmp_path: Path, kind: Kind, rate_hz: int) -> None:
    samples = tones(rate_hz, rate_hz=rate_hz)
    audio = AudioFile(write(tmp_path, samples, kind, rate_hz=rate_hz))
    assert (audio.sample_rate_hz, audio.channels, audio.frames) == (rate_hz, 2, rate_hz)
    assert_aligned(read(audio.path), samples)


def test_bare_aac_frames_are_read_whole(tmp_path: Path) -> None:
    """Nothing in such a file tells the delay from music, so it stays: 1024 frames of FFmpeg's encoder."""
    samples = tones(20_000)
    decoded = read(write(tmp_path, samples, ADTS))
    assert decoded.shape == (2, 1024 * 21)
    assert_aligned(decoded[:, 1024 : 1024 + 20_000], samples)


@pytest.mark.parametrize("tag", [b"ID3\x04\0\0\0\0\x01\x48" + bytes(200), b""], ids=["ID3v2", "no tag"])
@pytest.mark.parametrize("end", [b"TAG" + bytes(125), b""], ids=["ID3v1", "no end tag"])
def test_tags_around_bare_aac_frames_are_no_samples(tmp_path: Path, tag: bytes, end: bytes) -> None:
    path = write(tmp_path, tones(5000), ADTS)
    path.write_bytes(tag + path.read_bytes() + end)
    assert AudioFile(path).frames == 1024 * 6


@pytest.mark.parametrize(("first", "frames"), [(1024, 20_000), (0, 21_000), (2112, 3)])
def test_aac_in_a_caf_file_is_trimmed_as_its_packet_table_says(tmp_path: Path, first: int, frames: int) -> None:
    bare = write(tmp_path, tones(20_000), ADTS)
    expected = read(bare)[:, first : first + frames]
    assert torch.equal(read(aac_caf(tmp_path / "song.caf", bare, first, frames)), expected)


def with_box(path: Path, box: bytes, field: int, value: bytes) -> Path:
    """Overwrite a field of an MP4 file's box, counted from behind the box's name."""
    content = path.read_bytes()
    position = content.rindex(box) + len(box) + field
    path.write_bytes(content[:position] + value + content[position + len(value) :])
    return path


def test_an_edit_list_says_which_part_is_played(tmp_path: Path) -> None:
    path = write(tmp_path, tones(20_000), AAC["m4a"])
    whole = read(path)
    # Unit of the movie is a thousandth of a second: version, entries, length, first tick.
    with_box(path, b"elst", 8, struct.pack(">Ii", 200, 1024 + 500))
    assert torch.equal(read(path), whole[:, 500 : 500 + 8820])


def test_without_an_edit_list_all_is_played(tmp_path: Path) -> None:
    path = write(tmp_path, tones(20_000), AAC["m4a"])
    whole = read(path)
    everything = read(with_box(path, b"edts", -4, b"free"))
    assert everything.shape == (2, 1024 + 20_000)
    assert torch.equal(everything[:, 1024:], whole)


@pytest.mark.parametrize("length", [20_000, 19_000])
def test_itunes_own_tag_stands_for_an_edit_list(tmp_path: Path, length: int) -> None:
    padding = 1024 + 20_000 - 1024 - length
    tag = f" 00000000 {1024:08X} {padding:08X} {length:016X} 00000000"
    path = write(tmp_path, tones(20_000), AAC["m4a"], tags={"iTunSMPB": tag}, movflags="+use_metadata_tags")
    whole = read(path)
    assert torch.equal(read(with_box(path, b"edts", -4, b"free")), whole[:, :length])


def test_a_file_is_read_twice_alike_and_twice_at_once(tmp_path: Path) -> None:
    audio = AudioFile(write(tmp_path, noise(20_000), AAC["m4a"]))
    for first, second in zip(audio.blocks(1000), audio.blocks(1000), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("kind", [AAC["m4a"], LOSSLESS["alac in m4a"], ADTS], ids=["aac", "alac", "adts"])
def test_what_a_file_is_does_not_depend_on_its_name(tmp_path: Path, kind: Kind) -> None:
    path = write(tmp_path, noise(5000), kind)
    frames = AudioFile(path).frames
    for name in ("song.mp3", "song.wav", "song", os.fsdecode(b"caf\xe9.flac"), "concat:song.m4a", "http:song.m4a"):
        renamed = path.rename(tmp_path / name)
        assert AudioFile(renamed).frames == frames
        path = renamed


@pytest.mark.parametrize(("channels", "codec"), [(1, "aac"), (3, "aac"), (6, "aac"), (6, "alac")])
def test_channels_come_in_the_order_of_wav(tmp_path: Path, channels: int, codec: str) -> None:
    samples = tones(20_000, channels)
    decoded = read(write(tmp_path, samples, ("m4a", codec, {})))
    likeness = torch.corrcoef(torch.cat([decoded, torch.from_numpy(samples.T)]))[:channels, channels:]
    # The channel for low frequencies has next to none of its tone left.
    full_band = [channel for channel in range(channels) if (channels, channel) != (6, 3)]
    assert likeness[full_band].argmax(dim=1).tolist() == full_band
    assert decoded.shape == samples.T.shape


def test_channels_of_an_unknown_layout_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, tones(5000, 4), ("m4a", "aac", {}), layout="4.0")
    with pytest.raises(AudioError, match=r"song.m4a: its 4 channels, 4\.0, have no known layout"):
        AudioFile(path)


EVERY_KIND = {**LOSSLESS, **AAC, "adts": ADTS}


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("kind", EVERY_KIND.values(), ids=EVERY_KIND)
def test_a_truncated_file_is_an_error(
    tmp_path: Path, kind: Kind, keep: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, noise(50_000), kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(AudioError, match=r"truncated|not an audio file"):
        assert AudioFile(path).frames
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("filling", [bytes(4000), np.random.default_rng(0).bytes(4000)], ids=["zeros", "noise"])
@pytest.mark.parametrize("kind", [*AAC.values(), LOSSLESS["alac in m4a"], ADTS], ids=[*AAC, "alac", "adts"])
def test_a_hole_in_the_sound_is_an_error(
    tmp_path: Path, kind: Kind, filling: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tones(200_000), kind)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(filling)] = filling
    path.write_bytes(content)
    with pytest.raises(AudioError, match="truncated or damaged"):
        assert AudioFile(path).frames
    assert capfd.readouterr() == ("", "")


def test_bare_frames_that_do_not_lie_end_to_end_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, noise(20_000), ADTS)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + content[middle + 300 :])
    with pytest.raises(AudioError, match="truncated or damaged"):
        assert AudioFile(path).frames


def test_protected_files_are_refused_with_their_reason(tmp_path: Path) -> None:
    path = write(tmp_path, noise(5000), AAC["m4a"])
    with_box(path, b"mp4a", -4, b"drms")
    with pytest.raises(AudioError, match=r"song.m4a: the file is protected \(DRM\)"):
        AudioFile(path)


def test_several_tracks_of_sound_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, noise(5000), AAC["m4a"], tracks=2)
    with pytest.raises(AudioError, match=r"has 2 tracks of sound; take one out, as with `ffmpeg -i IN -map 0:a:0"):
        AudioFile(path)


def test_a_file_in_fragments_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, noise(5000), AAC["m4a"], movflags="+frag_keyframe+empty_moov")
    with pytest.raises(AudioError, match=r"in fragments; write it anew"):
        AudioFile(path)


def test_sound_of_another_codec_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, noise(50_000), ("mp4", "ac3", {}))
    with pytest.raises(AudioError, match=r"the sound is coded as ac3|truncated or damaged: not all of it"):
        AudioFile(path)


def test_a_playlist_is_no_audio(tmp_path: Path) -> None:
    write(tmp_path, noise(5000), AAC["m4a"])
    for name, text in {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsong.m4a\n",
        "list.ffconcat": "ffconcat version 1.0\nfile song.m4a\n",
        "list.m4a": "ffconcat version 1.0\nfile song.m4a\n",
    }.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(AudioError, match="not an audio file"):
            AudioFile(path)


@pytest.mark.parametrize("box", [b"stsz", b"stts", b"stsc", b"stco", b"elst", b"mdhd", b"hdlr", b"stsd", b"mvhd"])
@pytest.mark.parametrize("value", [b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)], ids=["most", "large", "zero"])
@pytest.mark.parametrize("field", [-8, 4, 8, 12])
def test_absurd_numbers_in_boxes_give_the_song_or_one_error(
    tmp_path: Path, box: bytes, field: int, value: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = with_box(write(tmp_path, tones(5000), AAC["m4a"]), box, field, value)
    try:
        assert 0 < AudioFile(path).frames <= 6 * 1024
    except AudioError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def last_packet_bytes(path: Path) -> int:
    content = path.read_bytes()
    entries = content.rindex(b"stsz") + 12
    (count,) = struct.unpack(">I", content[entries : entries + 4])
    return int(struct.unpack(">I", content[entries + 4 * count : entries + 4 * count + 4])[0])


def test_a_packet_that_is_missing_after_what_is_played_is_an_error(tmp_path: Path) -> None:
    """The box of samples may end with the file, wherever that is; then only the bytes of packets tell."""
    path = write(tmp_path, noise(50_000), AAC["m4a, header first"])
    with_box(path, b"elst", 8, struct.pack(">I", 200))
    with_box(path, b"mdat", -8, bytes(4))
    path.write_bytes(path.read_bytes()[: -last_packet_bytes(path)])
    with pytest.raises(AudioError, match="bytes of sound that it states are there"):
        assert AudioFile(path).frames


def test_a_packet_that_is_stated_to_be_longer_than_it_is_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, noise(50_000), AAC["m4a"])
    with_box(path, b"edts", -4, b"free")
    # The length of the last packet.
    with_box(path, b"stts", 20, struct.pack(">I", 5000))
    with pytest.raises(AudioError, match=r"s of the .* s that it states can be decoded"):
        assert AudioFile(path).frames


def test_junk_between_bare_frames_is_an_error(tmp_path: Path) -> None:
    """FFmpeg looks for the next frame and says nothing."""
    path = write(tmp_path, noise(50_000), ADTS)
    content = path.read_bytes()
    first = (content[3] & 3) << 11 | content[4] << 3 | content[5] >> 5
    path.write_bytes(content[:first] + bytes(300) + content[first:])
    with pytest.raises(AudioError, match=f"only {len(content)} bytes of it are whole frames"):
        assert AudioFile(path).frames


def test_most_holes_in_alac_are_found_although_it_has_no_checksums(tmp_path: Path) -> None:
    whole = write(tmp_path, noise(100_000), LOSSLESS["alac in m4a"]).read_bytes()
    random = np.random.default_rng(7)
    found = 0
    for position in np.linspace(0.1, 0.9, 20) * len(whole):
        path = tmp_path / "hole.m4a"
        path.write_bytes(whole[: int(position)] + random.bytes(200) + whole[int(position) + 200 :])
        try:
            assert AudioFile(path).frames == 100_000
        except AudioError:
            found += 1
    assert found >= 10


def test_a_damaged_caf_file_is_one_error_and_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = aac_caf(tmp_path / "song.caf", write(tmp_path, tones(5000), ADTS), 1024, 4000).read_bytes()
    for position in range(8, whole.index(b"data") + 12):
        for filling in (b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4)):
            path = tmp_path / "damaged.caf"
            path.write_bytes(whole[:position] + filling + whole[position + 4 :])
            try:
                assert AudioFile(path).frames > 0
            except AudioError as error:
                assert str(error).startswith(f"{path}: ")
    assert capfd.readouterr() == ("", "")
