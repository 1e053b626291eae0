"""Where the parts of an ``.mlpackage`` lie, and the manifest that lists them.

Format: coremltools 9.0, ``coremltools/models/utils.py`` and its ``modelpackage`` library; identifiers are random there
and name-based (RFC 4122, version 5) here.
"""

import json
import uuid
from pathlib import PurePosixPath
from types import MappingProxyType

AUTHOR = "com.apple.CoreML"
MANIFEST = PurePosixPath("Manifest.json")
MODEL = PurePosixPath("Data") / AUTHOR / "model.mlmodel"
WEIGHT_BIN = PurePosixPath("Data") / AUTHOR / "weights" / "weight.bin"
WEIGHT_REFERENCE = "@model_path/weights/weight.bin"
"""How a program names its weight file."""
FILES = (MODEL, WEIGHT_BIN, MANIFEST)

FILE_MODE = 0o644
FOLDER_MODE = 0o755

_ITEMS = MappingProxyType(
    {
        f"{AUTHOR}/model.mlmodel": ("model.mlmodel", "CoreML Model Specification"),
        f"{AUTHOR}/weights": ("weights", "CoreML Model Weights"),
    }
)


def manifest() -> bytes:
    """The manifest, the same bytes for every package."""
    identifiers = {path: str(uuid.uuid5(uuid.NAMESPACE_URL, path)).upper() for path in _ITEMS}
    table = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            identifiers[path]: {"author": AUTHOR, "description": description, "name": name, "path": path}
            for path, (name, description) in _ITEMS.items()
        },
        "rootModelIdentifier": identifiers[f"{AUTHOR}/model.mlmodel"],
    }
    return (json.dumps(table, indent=4, sort_keys=True) + "\n").encode()
