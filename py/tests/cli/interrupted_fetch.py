"""Run ``fetch`` on a file that a test serves, in place of every model's: its facts, then arguments as for the tool."""

import sys
from dataclasses import replace
from unittest import mock

from htdemucs_coreml.cli import main
from htdemucs_coreml.models.registry import ModelEntry, PublishedFile
from small_model import SMALL_ENTRY

if __name__ == "__main__":
    url, size, sha256, *arguments = sys.argv[1:]

    def find_model(name: str) -> ModelEntry:
        """Return a model of any name."""
        published = PublishedFile(f"{name}.safetensors", url, int(size), sha256)
        return replace(SMALL_ENTRY, name=name, weights=(published,))

    with mock.patch("htdemucs_coreml.cli.fetch.find_model", find_model):
        main(arguments)
