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

ROOT_MODEL = f"{AUTHOR}/model.mlmodel"
_WEIGHTS = f"{AUTHOR}/weights"
PACKAGE_ITEMS = MappingProxyType(
    {
        ROOT_MODEL: ("model.mlmodel", "CoreML Model Specification"),
        _WEIGHTS: ("weights", "CoreML Model Weights"),
    }
)
"""Name and description of what a manifest lists, by its path in ``Data``."""


def manifest(*, has_weights: bool = True) -> bytes:
    """The manifest: the same bytes for every package with weights, and for every one without."""
    items = {path: text for path, text in PACKAGE_ITEMS.items() if has_weights or path != _WEIGHTS}
    identifiers = {path: str(uuid.uuid5(uuid.NAMESPACE_URL, path)).upper() for path in items}
    table = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            identifiers[path]: {"author": AUTHOR, "description": description, "name": name, "path": path}
            for path, (name, description) in items.items()
        },
        "rootModelIdentifier": identifiers[ROOT_MODEL],
    }
    return (json.dumps(table, indent=4, sort_keys=True) + "\n").encode()
