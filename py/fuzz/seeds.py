"""Writes the inputs from which fuzzing starts, made of small real files: ``PYTHONPATH=src:tests python -m fuzz.seeds``.

What campaigns found beside them, inputs that reach lines which no other reaches and inputs that once failed, stays.
"""

import io
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import types
from coremltools.proto import Model_pb2

from encoded_audio import encode
from fuzz import CORPUS
from fuzz.parts import join, split
from fuzz.targets.audio import ogg_page
from fuzz.targets.mil_serving import message
from fuzz.targets.stem_records import MADE
from htdemucs_coreml.core.contract import CoreContract
from htdemucs_coreml.goldens.manifest import AxisSlice, GoldenEntry, format_manifest
from htdemucs_coreml.package.digests import sha256_bytes
from htdemucs_coreml.package.metadata import PackageMetadata
from htdemucs_coreml.package.weight_file import ElementType, WeightFile
from htdemucs_coreml.weights.model_file import ALLOWED_CLASS
from htdemucs_coreml.weights.safetensors_file import write_safetensors
from legacy_weights import archive_of, package_pickle, state, storage, tensor, text
from mil.packages import Values, build, model, weights_folder

_DIGEST = "0123456789abcdef" * 4
_X = np.linspace(-1, 1, 2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)
_I = np.arange(4, dtype=np.int32)


def main() -> None:
    """Write every seed."""
    for target, seeds in _seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (folder / name).write_bytes(content)


def _seeds() -> Mapping[str, Mapping[str, bytes]]:
    programs = _programs()
    return {
        "safetensors": {"empty": _safetensors({}), "two": _safetensors(_tensors())},
        "checkpoint": _checkpoints(),
        "torch_file": _pickles(),
        "stored_zip": _archives(),
        "mil_blob_file": _blob_files(programs),
        "mil_package_folder": _folders(),
        "mil_program": programs,
        "mil_execution": programs,
        "mil_requests": _requests(),
        "package_metadata": {"own": json.dumps(_metadata().to_strings()).encode()},
        "package": {"own": _package()},
        "canonical_form": {name: programs[name] for name in ("compression", "convolution", "lists")}
        | {"own": _package()},
        "lock": _locks(),
        "contents": _listings(),
        "goldens_manifest": {"three": _manifest()},
        "goldens": {"one": _goldens()},
        "ogg_pages": _ogg_files(),
        "libsndfile_log": _logs(),
        "stem_record": _records(),
        "precision_plan": _plans(),
        **_audio_files(),
    }


def _tensors() -> dict[str, npt.NDArray[Any]]:
    return {
        "a.weight": np.ones((2, 3), np.float32),
        "a.bias": np.zeros(2, np.float16),
        "scalar": np.ones((), np.float32),
    }


def _safetensors(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        write_safetensors(path, tensors, {"klass": ALLOWED_CLASS})
        return path.read_bytes()


def _checkpoints() -> dict[str, bytes]:
    segment = {"_type": "fraction", "numerator": 39, "denominator": 5}
    named = {"sources": ["drums", "bass"], "segment": segment, "channels": 8, "t_layers": 1, "t_heads": 1, "old": None}
    unnamed = {name: value for name, value in named.items() if name != "sources"}
    metadata = {"klass": ALLOWED_CLASS, "args": "[]", "kwargs": json.dumps(named)}
    return {
        "named": json.dumps({"metadata": metadata, "tensors": {}}).encode(),
        "positional": json.dumps(
            {"metadata": {**metadata, "args": '[["drums", "bass"]]', "kwargs": json.dumps(unnamed)}, "tensors": {}}
        ).encode(),
        "half": json.dumps({"metadata": metadata, "tensors": {"freq_emb.embedding.weight": None}}).encode(),
    }


def _programs() -> dict[str, bytes]:
    bodies: dict[str, Callable[[Values], Any]] = {
        "activations": _activations,
        "arithmetic": _arithmetic,
        "borders": _borders,
        "functions": _functions,
        "masks": _masks,
        "offsets": _offsets,
        "pieces": _pieces,
        "sums": _sums,
        "attention": _attention,
        "compression": _compression,
        "convolution": _convolution,
        "lists": _lists,
        "moves": _moves,
        "normalization": _normalization,
        "reduction": _reduction,
        "slices": _slices,
    }
    inputs = {"x": _X, "i": _I}
    return {name: _program(body, inputs) for name, body in bodies.items()} | {
        "half": _program(_arithmetic, {"x": _X.astype(np.float16), "i": _I})
    }


def _program(body: Callable[[Values], Any], inputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        weights = weights_folder(Path(folder))
        message = model(build(body, inputs), weights)
        message.mlProgram.attributes.clear()
        file = weights / "weight.bin"
        return join(message.SerializeToString(deterministic=True), file.read_bytes() if file.exists() else b"")


def _activations(v: Values) -> Any:
    x = v["x"]
    for name in ("relu", "sigmoid", "silu", "tanh", "softplus"):
        x = getattr(Builder, name)(x=x, name=name)
    x = Builder.gelu(x=x, mode="TANH_APPROXIMATION", name="gelu")
    x = Builder.clip(x=Builder.leaky_relu(x=x, alpha=0.5, name="leaky"), alpha=-1.0, beta=1.0, name="clip")
    return Builder.softmax(x=x, axis=-1, name="y")


def _arithmetic(v: Values) -> Any:
    x = Builder.add(x=v["x"], y=Builder.mul(x=v["x"], y=v["x"], name="square"), name="sum")
    i = Builder.floor_div(x=v["i"], y=Builder.add(x=v["i"], y=1, name="more"), name="quotient")
    greater = Builder.greater(x=i, y=0, name="greater")
    chosen = Builder.select(cond=greater, a=i, b=Builder.mod(x=i, y=3, name="rest"), name="chosen")
    return x, Builder.cast(x=chosen, dtype="fp32", name="z")


def _borders(v: Values) -> Any:
    x = Builder.pad(x=v["x"], pad=[1, 0, 2, 1], mode="reflect", name="reflected")
    x = Builder.pad(x=x, pad=[0, 1], mode="replicate", name="replicated")
    x = Builder.crop(x=x, crop_height=[1, 0], crop_width=[2, 2], name="cropped")
    kernel = np.ones((2, 2, 3, 3), np.float32)
    x = Builder.conv(x=x, weight=kernel, pad_type="same", dilations=[1, 1], name="same")
    return Builder.conv_transpose(x=x, weight=kernel, pad_type="custom", pad=[0, 1, 1, 1], name="y")


def _functions(v: Values) -> Any:
    x = Builder.rsqrt(x=Builder.square(x=v["x"], name="square"), epsilon=1.0, name="root")
    x = Builder.log(x=Builder.inverse(x=x, epsilon=1.0, name="inverse"), epsilon=1.0, name="log")
    x = Builder.gelu(x=Builder.elu(x=x, alpha=0.5, name="elu"), mode="SIGMOID_APPROXIMATION", name="gelu")
    x = Builder.linear_activation(x=x, alpha=2.0, beta=1.0, name="line")
    return Builder.identity(x=x, name="y"), Builder.cast(
        x=Builder.less(x=x, y=0.0, name="less"), dtype="int32", name="z"
    )


def _masks(v: Values) -> Any:
    mask = np.eye(3, dtype=np.float32)
    x = Builder.scaled_dot_product_attention(query=v["x"], key=v["x"], value=v["x"], attn_mask=mask, name="added")
    below = Builder.greater_equal(x=mask, y=0.5, name="below")
    hidden = Builder.logical_not(x=below, name="hidden")
    return Builder.scaled_dot_product_attention(query=x, key=x, value=x, attn_mask=hidden, name="y")


def _offsets(v: Values) -> Any:
    weight = Builder.constexpr_blockwise_shift_scale(
        data=np.arange(16, dtype=np.int8).reshape(4, 4),
        scale=np.ones((2, 1), np.float32),
        offset=np.ones((2, 1), np.int8),
        name="dense",
    )
    sparse = Builder.constexpr_sparse_to_dense(
        nonzero_data=np.ones(4, np.float32), mask=np.eye(4).astype(types.np_uint1_dtype), name="sparse"
    )
    vectors = Builder.constexpr_lut_to_dense(
        indices=np.array([[0, 1], [1, 0], [1, 1], [0, 0]], types.np_uint1_dtype),
        lut=np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2),
        vector_axis=1,
        name="vectors",
    )
    x = Builder.matmul(x=Builder.matmul(x=v["x"], y=weight, name="first"), y=sparse, name="second")
    return Builder.matmul(x=x, y=vectors, name="y")


def _pieces(v: Values) -> Any:
    first, second = Builder.split(x=v["x"], split_sizes=[1, 3], axis=-1, name="pieces")
    joined = Builder.concat(values=[second, first], axis=-1, name="joined")
    filled = Builder.fill_like(ref_tensor=joined, value=2.0, name="filled")
    indices = Builder.reshape(x=v["i"], shape=[1, 1, 1, 4], name="indices")
    row = Builder.slice_by_size(x=joined, begin=[0, 0, 0, 0], size=[1, 1, 1, -1], name="row")
    taken = Builder.gather_along_axis(x=row, indices=indices, axis=-1, name="taken")
    return Builder.add(x=filled, y=taken, name="y"), Builder.mul(x=Builder.fill(shape=[2], value=1.0), y=2.0, name="z")


def _sums(v: Values) -> Any:
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    x = Builder.batch_norm(x=v["x"], mean=zeros, variance=ones, gamma=ones, beta=zeros, name="batch")
    x = Builder.layer_norm(x=Builder.l2_norm(x=x, name="length"), axes=[1], gamma=ones, beta=zeros, name="layer")
    product = Builder.reduce_prod(x=x, axes=[-1, 1], keep_dims=False, name="product")
    return product, Builder.reduce_argmin(x=x, axis=1, keep_dims=True, name="place")


def _attention(v: Values) -> Any:
    q = Builder.scaled_dot_product_attention(query=v["x"], key=v["x"], value=v["x"], name="attended")
    return Builder.matmul(x=q, y=v["x"], transpose_x=False, transpose_y=True, name="y")


def _compression(v: Values) -> Any:
    weight = Builder.constexpr_blockwise_shift_scale(
        data=np.arange(16, dtype=np.int8).reshape(4, 4), scale=np.ones((4, 1), np.float32), name="dense"
    )
    palette = Builder.constexpr_lut_to_dense(
        indices=np.arange(16, dtype=np.uint8).reshape(4, 4) % 2,
        lut=np.arange(256, dtype=np.float32).reshape(1, 1, 256, 1),
        name="palette",
    )
    x = Builder.linear(x=v["x"], weight=weight, bias=np.zeros(4, np.float32), name="linear")
    return Builder.matmul(x=x, y=palette, name="y")


def _convolution(v: Values) -> Any:
    weight = np.linspace(-1, 1, 3 * 2 * 1 * 2, dtype=np.float32).reshape(3, 2, 1, 2)
    x = Builder.conv(x=v["x"], weight=weight, pad_type="custom", pad=[0, 0, 1, 0], name="convolved")
    back = np.linspace(-1, 1, 3 * 2 * 1 * 2, dtype=np.float32).reshape(3, 2, 1, 2)
    return Builder.conv_transpose(x=x, weight=back, strides=[1, 2], name="y")


def _lists(v: Values) -> Any:
    first, second = Builder.split(x=v["x"], num_splits=2, axis=-1, name="halves")
    joined = Builder.concat(values=[first, second], axis=1, interleave=True, name="joined")
    return Builder.stack(values=[joined, joined], axis=0, name="y")


def _moves(v: Values) -> Any:
    x = Builder.transpose(x=v["x"], perm=[0, 2, 1, 3], name="turned")
    x = Builder.squeeze(x=Builder.expand_dims(x=x, axes=[0], name="wider"), axes=[0], name="narrower")
    x = Builder.pad(x=x, pad=[0, 1, 2, 0], mode="constant", constant_val=1.0, name="padded")
    x = Builder.tile(x=Builder.reverse(x=x, axes=[1], name="reversed"), reps=[1, 2, 1, 1], name="tiled")
    x = Builder.gather(x=x, indices=v["i"], axis=1, name="gathered")
    return Builder.reshape(x=x, shape=[1, -1], name="y")


def _normalization(v: Values) -> Any:
    x = Builder.layer_norm(
        x=v["x"], axes=[-1], gamma=np.ones(4, np.float32), beta=np.zeros(4, np.float32), name="layer"
    )
    return Builder.instance_norm(x=x, gamma=np.ones(2, np.float32), beta=np.zeros(2, np.float32), name="y")


def _reduction(v: Values) -> Any:
    mean = Builder.reduce_mean(x=v["x"], axes=[-1], keep_dims=True, name="mean")
    total = Builder.reduce_sum(x=mean, axes=[1, 2], keep_dims=False, name="total")
    return total, Builder.reduce_argmax(x=v["x"], axis=-1, keep_dims=False, name="place")


def _slices(v: Values) -> Any:
    x = Builder.slice_by_index(
        x=v["x"],
        begin=[0, 0, 0, -1],
        end=[1, 2, 3, 0],
        stride=[1, 1, 2, -2],
        begin_mask=[False, True, False, False],
        end_mask=[True, False, False, True],
        squeeze_mask=[True, False, False, False],
        name="sliced",
    )
    return Builder.slice_by_size(x=x, begin=[0, 0, 0], size=[-1, 1, 1], name="y")


def _blob_files(programs: Mapping[str, bytes]) -> dict[str, bytes]:
    """What coremltools wrote, and a file with elements narrower than a byte."""
    narrow = WeightFile()
    for element_type, elements in (
        (ElementType.INT4, np.array([1, 2, 3], np.int8)),
        (ElementType.UINT3, np.arange(7, dtype=np.uint8)),
        (ElementType.UINT1, np.array([1, 0, 1], np.uint8)),
        (ElementType.FLOAT16, np.zeros(0, np.float16)),
    ):
        narrow.add(element_type, elements)
    return {"coremltools": split(programs["convolution"])[1], "narrow": b"".join(narrow.chunks())}


def _folders() -> dict[str, bytes]:
    items = {
        "M": {"author": "com.apple.CoreML", "description": "", "name": "", "path": "com.apple.CoreML/model.mlmodel"},
        "W": {"author": "com.apple.CoreML", "description": "", "name": "", "path": "com.apple.CoreML/weights"},
    }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": "M"}
    entries = [
        ["file", "Data/com.apple.CoreML/model.mlmodel"],
        ["file", "Data/com.apple.CoreML/weights/weight.bin"],
    ]
    whole = {"manifest": json.dumps(manifest), "entries": entries, "reference": "@model_path/weights/weight.bin"}
    linked = {**whole, "entries": [*entries, ["folder", "Data/empty"], ["link", "Data/link"]]}
    return {"whole": json.dumps(whole).encode(), "linked": json.dumps(linked).encode()}


def _requests() -> dict[str, bytes]:
    inputs = {"x": np.arange(3, dtype=np.float32), "y": np.ones((1, 2), np.int32)}
    return {
        "one": message(inputs),
        "two": message(inputs) * 2,
        "other": message({**inputs, "y": np.ones((2, 1), np.float16)}) + message(inputs),
        "unknown": message({**inputs, "z": np.ones((), np.int32)}),
    }


def _metadata() -> PackageMetadata:
    return PackageMetadata(
        model="fixture",
        variant="float32",
        sources=("drums", "bass"),
        sample_rate=44100,
        segment_samples=11264,
        n_fft=4096,
        hop_length=1024,
        weights_sha256=_DIGEST,
        weight_bin_sha256=_DIGEST,
        model_sha256=_DIGEST,
    )


def _package() -> bytes:
    """A package of this project with the features that it has to have, over a small program."""
    serialised, weights = split(_program(_convolution, {"x": _X}))
    message = Model_pb2.Model.FromString(serialised)
    metadata = _metadata()
    contract = CoreContract(metadata.sources, metadata.segment_samples)
    description = message.description
    for features, shapes in (
        (description.input, contract.input_shapes),
        (description.output, contract.output_shapes),
    ):
        del features[:]
        for name, shape in shapes.items():
            feature = features.add(name=name)
            feature.type.multiArrayType.shape.extend(shape)
    for key, value in metadata.to_strings().items():
        description.metadata.userDefined[key] = value
    return join(message.SerializeToString(deterministic=True), weights)


def _locks() -> dict[str, bytes]:
    entries = {
        "file": {"files": {".": "c7c5c1d70c5dec4416ab6158afd0b223ef40c29b1dc1f97ed9428b94d4cadb1c"}},
        "package": {"files": {"Manifest.json": _DIGEST, "Data/com.apple.CoreML/model.mlmodel": _DIGEST}},
    }
    reasons = {"unknown": "nobody has built it"}
    return {"three": json.dumps({"version": 2, "artefacts": entries, "unconfirmed": reasons}).encode()}


def _listings() -> dict[str, bytes]:
    before = "metadata model fixture\noperation x_0 0123456789abcdef\nconstant w float32[2x3] 0123456789abcdef"
    after = before.replace("x_0 0", "x_1 1")
    return {"equal": join(before.encode(), before.encode()), "changed": join(before.encode(), after.encode())}


def _manifest() -> bytes:
    whole = GoldenEntry("a/x.f32", _DIGEST, "float32", (2, 3), ("row", "column"), "full scale", "py/goldens/small.py")
    kept = AxisSlice("sample", 0, 10, 3)
    sliced = GoldenEntry(
        file="a/y.i64",
        sha256=_DIGEST,
        dtype="int64",
        shape=(4,),
        axes=("sample",),
        scale="samples",
        generator="py/goldens/small.py",
        grid="2^-10",
        kept=kept,
        inputs={"a/x": _DIGEST, "weights.fixture": _DIGEST},
    )
    single = GoldenEntry("z.f64", _DIGEST, "float64", (1,), ("value",), "1", "py/goldens/small.py")
    return format_manifest({"a/x": whole, "a/y": sliced, "z": single})


def _goldens() -> bytes:
    entry = GoldenEntry("a/x.f32", _DIGEST, "float32", (2,), ("row",), "full scale", "py/goldens/small.py")
    return join(format_manifest({"a/x": entry}), np.ones(2, np.float32).tobytes())


def _ogg_files() -> dict[str, bytes]:
    """A real stream whose pages' bodies are cut to a few bytes, and two streams after one another."""
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(64, np.float32), 8000, format="OGG", subtype="VORBIS")
    first = ogg_page(flags=2, serial=1, number=0, body=b"first")
    last = ogg_page(flags=4, serial=1, number=1, body=b"")
    other = ogg_page(flags=2, serial=2, number=0, body=b"x" * 300) + ogg_page(flags=4, serial=2, number=1, body=b"y")
    return {"vorbis": sound.getvalue(), "two": first + last + other, "tag": first + last + b"TAG", "cut": first}


def _logs() -> dict[str, bytes]:
    """Lines as libsndfile 1.2 writes them, of a whole file and of cut ones."""
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(100, np.float32), 8000, format="WAV")
    whole = soundfile.SoundFile(io.BytesIO(sound.getvalue())).extra_info
    cut = soundfile.SoundFile(io.BytesIO(sound.getvalue()[:100])).extra_info
    return {
        "whole": whole.encode(),
        "cut": cut.encode(),
        "aiff": b"SSND : 200 (should be 50)\n  Offset     : 0\n",
        "w64": b"riff : 1000 (should be 900)\ndata : 4294967295 (should be 12)\n",
    }


def _pickles() -> dict[str, bytes]:
    """Models of one and of two tensors, with the arguments that upstream's files have."""
    kwargs = b"}(" + text("sources") + b"](" + text("drums") + text("bass") + b"e" + text("segment")
    kwargs += b"cfractions\nFraction\n" + text("39/5") + b"\x85R" + text("channels") + b"K\x30" + text("x") + b"Nu"
    score = b"cnumpy.core.multiarray\nscalar\n)R"
    second = tensor(storage(), offset=b"K\x03", sizes=b"K\x03\x85", strides=b"K\x01\x85")
    return {
        "one": join(package_pickle(state(tensor())), bytes(12)),
        "two": join(package_pickle(state(tensor(), second), kwargs=kwargs), bytes(12)),
        "score": join(package_pickle(state(tensor()), kwargs=b"}(" + text("score") + score + b"u"), bytes(12)),
    }


def _archives() -> dict[str, bytes]:
    records = {"archive/data.pkl": b"pickle", "archive/version": b"3\n", "archive/data/0": bytes(8)}
    saved = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, saved)
    return {"python": archive_of(records), "torch": saved.getvalue()}


def _plans() -> Mapping[str, bytes]:
    head = b'summary = "A plan"\ndefault = "float16"\n'
    rule = (
        b'[[rules]]\nblocks = ["frequency_encoder_*.dconv.?", "time_*"]\n'
        b'operations = ["layer_norm"]\ntype = "float32"\n'
    )
    return {
        "default": head,
        "models": head + b'models = ["htdemucs_6s"]\n' + rule,
        "rules": head + rule + b"[derivation]\nseed = 1\n",
        "stars": head + b'[[rules]]\nblocks = ["' + b"*e" * 40 + b'x"]\ntype = "float32"\n',
    }


def _records() -> dict[str, bytes]:
    stems = {"drums.wav": sha256_bytes(b"drums")}
    return {"whole": json.dumps({**MADE, "stems": stems}).encode()}


def _audio_files() -> dict[str, dict[str, bytes]]:
    """Files of a few samples, of every kind that is read."""
    samples = np.linspace(-0.5, 0.5, 2 * 300, dtype=np.float32).reshape(300, 2)
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("WAV", "FLAC", "OGG", "AIFF", "AU", "MP3"):
            soundfile.write(path := Path(folder) / kind, samples, 44_100, format=kind)
            files[kind.lower()] = path.read_bytes()
        for name, codec, container in (
            ("alac", "alac", "mp4"),
            ("aac", "aac", "mp4"),
            ("adts", "aac", "adts"),
            ("caf", "alac", "caf"),
        ):
            files[name] = encode(Path(folder) / name, samples, codec, container=container).read_bytes()
    unstated = bytearray(files["wav"])
    size_at = unstated.index(b"data") + 4
    unstated[size_at : size_at + 4] = bytes(4)
    unstated[4:8] = bytes(4)
    return {
        "audio_file": files,
        "mp4_statement": {name: files[name] for name in ("alac", "aac")},
        "caf_statement": {"alac": files["caf"]},
        "unstated_wav": {"stated": files["wav"][:200], "unstated": bytes(unstated[:200])},
    }


if __name__ == "__main__":
    main()
