"""From any number of channels to two."""

import math

import torch
from torch import Tensor

from htdemucs_coreml.audio.errors import AudioError

_SIDE = math.sqrt(0.5)
_LEFT, _RIGHT, _BOTH, _SURROUND_LEFT, _SURROUND_RIGHT, _NONE = (
    (1.0, 0.0),
    (0.0, 1.0),
    (_SIDE, _SIDE),
    (_SIDE, 0.0),
    (0.0, _SIDE),
    (0.0, 0.0),
)
# Order of WAV and FLAC: front left, right, centre, low frequencies, back or side left, right.
_LAYOUTS = {
    3: (_LEFT, _RIGHT, _BOTH),
    4: (_LEFT, _RIGHT, _SURROUND_LEFT, _SURROUND_RIGHT),
    5: (_LEFT, _RIGHT, _BOTH, _SURROUND_LEFT, _SURROUND_RIGHT),
    6: (_LEFT, _RIGHT, _BOTH, _NONE, _SURROUND_LEFT, _SURROUND_RIGHT),
}
# Order of Vorbis and Opus (Vorbis I specification, section 4.3.9): the centre second, low frequencies last.
_OGG_LAYOUTS = {
    3: (_LEFT, _BOTH, _RIGHT),
    4: (_LEFT, _RIGHT, _SURROUND_LEFT, _SURROUND_RIGHT),
    5: (_LEFT, _BOTH, _RIGHT, _SURROUND_LEFT, _SURROUND_RIGHT),
    6: (_LEFT, _BOTH, _RIGHT, _SURROUND_LEFT, _SURROUND_RIGHT, _NONE),
}


class StereoMixer:
    """Makes blocks of `channels` channels stereo.

    One channel is duplicated and two are left alone. Three to six are taken as the usual layouts up to 5.1
    and mixed down: the centre to both sides and each surround channel to its own side, at -3 dB; low
    frequencies are left out; then all is scaled so that full scale in every channel stays full scale. Source
    of the weights: Recommendation ITU-R BS.775-4, annex 4.

    Parameters
    ----------
    channels : int
        Channels of the input.
    downmix : bool
        Whether to accept more than two.
    container : str
        As `AudioFile.container`: Ogg has another order of channels.

    Raises
    ------
    AudioError
        If there are more than two channels and `downmix` is not set, or more than six.
    """

    def __init__(self, channels: int, *, downmix: bool, container: str) -> None:
        if channels > 2 and not downmix:
            raise AudioError(f"there are {channels} channels and stems are stereo: mix them down with --downmix")
        layouts = _OGG_LAYOUTS if container == "OGG" else _LAYOUTS
        if channels > 2 and channels not in layouts:
            raise AudioError(f"{channels} channels have no known layout to mix down: give a file of at most 6")
        self._channels = channels
        self._matrix = None if channels <= 2 else _normalised(torch.tensor(layouts[channels]).T)

    def stereo(self, block: Tensor) -> Tensor:
        """Map float32 ``[channels, n]`` to ``[2, n]``."""
        if self._matrix is not None:
            return self._matrix @ block
        return block.repeat(2, 1) if self._channels == 1 else block


def _normalised(matrix: Tensor) -> Tensor:
    return matrix / matrix.sum(dim=1, keepdim=True)
