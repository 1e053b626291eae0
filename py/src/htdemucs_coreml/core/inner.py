"""HTDemucs without its STFT and iSTFT: the network that becomes a Core ML program.

Source: facebookresearch/demucs 4.1.0, ``demucs/htdemucs.py``, ``HTDemucs.forward``, and ``demucs/transformer.py``,
``CrossTransformerEncoder.forward``. The operations and their order are upstream's, so that the outputs are
bit-identical; only the submodules' names differ: every block is a direct child with a name of its own, because the
converter's scopes leave out the names of module lists.
"""

from typing import cast

import torch
from demucs.hdemucs import HDecLayer, HEncLayer, ScaledEmbedding
from demucs.htdemucs import HTDemucs
from demucs.transformer import (
    CrossTransformerEncoder,
    create_2d_sin_embedding,
    create_sin_embedding,
)
from torch import Tensor, nn

from htdemucs_coreml.core.contract import (
    AUDIO_CHANNELS,
    BINS,
    N_FFT,
    SAMPLE_RATE_HZ,
    CoreContract,
    CoreOutputs,
)
from htdemucs_coreml.errors import HTDemucsCoreMLError

STANDARDISATION_EPSILON = 1e-5


class ModelExtractionError(HTDemucsCoreMLError):
    """A model is not the hybrid transformer that the core can be extracted from."""


class FrequencyEmbedding(nn.Module):
    """Adds upstream's embedding of the bins to the first frequency layer's output.

    Parameters
    ----------
    embedding : ScaledEmbedding
        ``demucs.hdemucs.ScaledEmbedding`` of one vector per bin.
    scale : float
        Factor on the embedding, ``HTDemucs.freq_emb_scale``.
    """

    def __init__(self, embedding: ScaledEmbedding, scale: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Add the embedding to `x` [1, channels, bins, frames]."""
        bins = torch.arange(x.shape[-2], device=x.device)
        embedding: Tensor = self.embedding(bins).t()[None, :, :, None].expand_as(x)
        return x + embedding * self.scale


class FrequencyPosition(nn.Module):
    """Adds upstream's two-dimensional positional embedding to tokens [1, frames, bins, channels]."""

    def __init__(self, channels: int, bins: int, frames: int, max_period: float) -> None:
        super().__init__()
        self.channels, self.bins, self.frames, self.max_period = channels, bins, frames, max_period

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the embedding to the normalised `tokens`."""
        embedding: Tensor = create_2d_sin_embedding(
            self.channels, self.bins, self.frames, tokens.device, self.max_period
        )
        return tokens + embedding.permute(0, 3, 2, 1)


class TimePosition(nn.Module):
    """Adds upstream's one-dimensional positional embedding to tokens [1, steps, channels]."""

    def __init__(self, channels: int, steps: int, max_period: float) -> None:
        super().__init__()
        self.channels, self.steps, self.max_period = channels, steps, max_period

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the embedding to the normalised `tokens`."""
        embedding: Tensor = create_sin_embedding(
            self.steps, self.channels, device=str(tokens.device), max_period=self.max_period
        )
        return tokens + embedding.permute(1, 0, 2)


class InnerHTDemucs(nn.Module):
    """The core: spectrogram and waveform of one segment in, those of every stem out.

    Blocks are direct children, named ``frequency_encoder_0`` … ``time_decoder_3``; parameters are frozen and the
    module is in evaluation mode. Shapes are those of `contract`.

    Parameters
    ----------
    model : HTDemucs
        The model whose layers are used (shared, not copied).
    contract : CoreContract
        Stems and segment length.
    """

    def __init__(self, model: HTDemucs, contract: CoreContract) -> None:
        super().__init__()
        self.contract = contract
        self.depth: int = model.depth
        self.layers: int = model.crosstransformer.num_layers
        transformer: CrossTransformerEncoder = model.crosstransformer
        self.first_layer_is_cross = transformer.classic_parity == 1

        for index in range(self.depth):
            self.add_module(f"frequency_encoder_{index}", model.encoder[index])
            self.add_module(f"time_encoder_{index}", model.tencoder[index])
        self.frequency_embedding = FrequencyEmbedding(cast("ScaledEmbedding", model.freq_emb), model.freq_emb_scale)

        channels = cast("nn.LayerNorm", transformer.norm_in).normalized_shape[0]
        bins = BINS // model.stride**self.depth
        steps = contract.segment_samples
        for _ in range(self.depth):
            steps = -(-steps // model.stride)
        self.has_bottom_channels = bool(model.bottom_channels)
        if self.has_bottom_channels:
            self.frequency_channel_upsampler = model.channel_upsampler
            self.time_channel_upsampler = model.channel_upsampler_t
            self.frequency_channel_downsampler = model.channel_downsampler
            self.time_channel_downsampler = model.channel_downsampler_t
        self.frequency_norm = transformer.norm_in
        self.frequency_position = FrequencyPosition(channels, bins, contract.frames, transformer.max_period)
        self.time_norm = transformer.norm_in_t
        self.time_position = TimePosition(channels, steps, transformer.max_period)
        for index in range(self.layers):
            self.add_module(f"frequency_transformer_{index}", transformer.layers[index])
            self.add_module(f"time_transformer_{index}", transformer.layers_t[index])

        for index in range(self.depth):
            self.add_module(f"frequency_decoder_{index}", model.decoder[index])
            self.add_module(f"time_decoder_{index}", model.tdecoder[index])
        self.eval()
        self.requires_grad_(False)

    def _block(self, name: str, index: int) -> nn.Module:
        return self.get_submodule(f"{name}_{index}")

    def forward(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        """Separate one segment.

        Parameters
        ----------
        spectrogram_real, spectrogram_imag : Tensor [1, 2, bins, frames], float32
            Parts of the mix's spectrogram, scaled as `htdemucs_coreml.spectrogram.spectrogram` gives it.
        waveform : Tensor [1, 2, segment_samples], float32
            The mix, full scale 1.0.

        Returns
        -------
        CoreOutputs
            ``stems_real``, ``stems_imag`` [1, S, 2, bins, frames] and ``stems_waveform`` [1, S, 2, segment_samples].
        """
        stems = len(self.contract.sources)
        _, channels, bins, frames = spectrogram_real.shape
        # Complex as channels: left real, left imaginary, right real, right imaginary.
        x = torch.stack((spectrogram_real, spectrogram_imag), dim=2).reshape(1, 2 * channels, bins, frames)
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        std = x.std(dim=(1, 2, 3), keepdim=True)
        x = (x - mean) / (STANDARDISATION_EPSILON + std)
        mean_time = waveform.mean(dim=(1, 2), keepdim=True)
        std_time = waveform.std(dim=(1, 2), keepdim=True)
        xt = (waveform - mean_time) / (STANDARDISATION_EPSILON + std_time)

        x, xt = self._encode_and_decode(x, xt)

        x = x.view(1, stems, 2 * channels, bins, frames) * std[:, None] + mean[:, None]
        xt = xt.view(1, stems, channels, -1) * std_time[:, None] + mean_time[:, None]
        return CoreOutputs(x[:, :, 0::2], x[:, :, 1::2], xt)

    def _encode_and_decode(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        skips: list[Tensor] = []
        time_skips: list[Tensor] = []
        time_lengths: list[int] = []
        frames = x.shape[-1]
        for index in range(self.depth):
            time_lengths.append(xt.shape[-1])
            xt = self._block("time_encoder", index)(xt)
            time_skips.append(xt)
            x = self._block("frequency_encoder", index)(x, None)
            if index == 0:
                x = self.frequency_embedding(x)
            skips.append(x)
        if self.has_bottom_channels:
            x = _over_positions(self.frequency_channel_upsampler, x)
            xt = self.time_channel_upsampler(xt)
        x, xt = self._transform(x, xt)
        if self.has_bottom_channels:
            x = _over_positions(self.frequency_channel_downsampler, x)
            xt = self.time_channel_downsampler(xt)
        for index in range(self.depth):
            x, _ = self._block("frequency_decoder", index)(x, skips.pop(), frames)
            xt, _ = self._block("time_decoder", index)(xt, time_skips.pop(), time_lengths.pop())
        return x, xt

    def _transform(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        _, channels, bins, frames = x.shape
        x = self.frequency_position(self.frequency_norm(x.permute(0, 3, 2, 1)))
        x = x.reshape(1, frames * bins, channels)
        xt = xt.permute(0, 2, 1)
        xt = self.time_position(self.time_norm(xt))
        for index in range(self.layers):
            frequency_layer = self._block("frequency_transformer", index)
            time_layer = self._block("time_transformer", index)
            if (index % 2 == 0) == self.first_layer_is_cross:
                x, xt = frequency_layer(x, xt), time_layer(xt, x)
            else:
                x, xt = frequency_layer(x), time_layer(xt)
        return x.reshape(1, frames, bins, channels).permute(0, 3, 2, 1), xt.permute(0, 2, 1)


def _over_positions(convolution: nn.Module, x: Tensor) -> Tensor:
    """Apply a one-dimensional convolution of width 1 to `x` [1, channels, bins, frames] as if it had one axis."""
    _, _, bins, frames = x.shape
    convolved: Tensor = convolution(x.flatten(2))
    return convolved.reshape(1, -1, bins, frames)


def extract_inner_model(model: nn.Module, segment_samples: int) -> InnerHTDemucs:
    """Extract the core of an HTDemucs for segments of a given length.

    Parameters
    ----------
    model : HTDemucs
        A model with its weights; its layers are shared with the result, frozen and set to evaluation mode.
    segment_samples : int
        Length of the core's waveform input, at 44,100 Hz.

    Raises
    ------
    ModelExtractionError
        If `model` is another architecture, or one of its options is not what the core implements.
    """
    if not isinstance(model, HTDemucs):
        raise ModelExtractionError(
            f"the model is a {type(model).__name__}, but only demucs.htdemucs.HTDemucs has a core to extract"
        )
    transformer = model.crosstransformer
    requirements = {
        "cac": (model.cac, True),
        "audio_channels": (model.audio_channels, AUDIO_CHANNELS),
        "nfft": (model.nfft, N_FFT),
        "samplerate": (model.samplerate, SAMPLE_RATE_HZ),
        "wiener_iters": (model.wiener_iters, 0),
        "freq_emb": (model.freq_emb is not None, True),
        "number of time layers": (len(model.tencoder), model.depth),
        "layer types": (
            {type(layer) for layer in (*model.encoder, *model.tencoder)}
            | {type(layer) for layer in (*model.decoder, *model.tdecoder)},
            {HEncLayer, HDecLayer},
        ),
        "transformer": (type(transformer), CrossTransformerEncoder),
        "t_emb": (getattr(transformer, "emb", None), "sin"),
        "t_sin_random_shift": (getattr(transformer, "sin_random_shift", None), 0),
        "t_norm_in": (isinstance(getattr(transformer, "norm_in", None), nn.LayerNorm), True),
        "t_weight_pos_embed": (getattr(transformer, "weight_pos_embed", None), 1.0),
    }
    for option, (actual, required) in requirements.items():
        if actual != required:
            raise ModelExtractionError(
                f"the model has {option} = {actual!r}, but a core is extracted only where it is {required!r}"
            )
    if segment_samples < N_FFT:
        raise ModelExtractionError(
            f"a segment of {segment_samples} samples is shorter than one STFT window of {N_FFT}; ask for a longer one"
        )
    return InnerHTDemucs(model, CoreContract(tuple(model.sources), segment_samples))
