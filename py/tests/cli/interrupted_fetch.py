"""Run ``fetch`` on a file that a test serves: URL, size and sha256, then arguments as for the tool."""

import sys
from dataclasses import replace
from unittest import mock

from htdemucs_coreml.cli import main
from htdemucs_coreml.models.registry import PublishedFile
from small_model import SMALL_ENTRY

if __name__ == "__main__":
    url, size, sha256, *arguments = sys.argv[1:]
    entry = replace(SMALL_ENTRY, weights=(PublishedFile("small.safetensors", url, int(size), sha256),))
    with mock.patch("htdemucs_coreml.cli.fetch.find_model", return_value=entry):
        main(arguments)
