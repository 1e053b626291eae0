"""The licences in a bill of materials as a text to read: ``licences.py BOM.cdx.json OUTPUT.txt``."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def names(component: dict[str, Any]) -> list[str]:
    """What a component's metadata calls its licences."""
    found = []
    for choice in component.get("licenses", []):
        licence = choice.get("license", {})
        name = choice.get("expression") or licence.get("id") or licence.get("name")
        # Texts have made-up names; the name that counts stands in an entry of its own.
        if "text" not in licence and name not in found:
            found.append(name)
    return found


def texts(component: dict[str, Any]) -> Iterator[str]:
    """The texts of a component's licences, each once."""
    seen = set()
    for holder in (*component.get("licenses", []), *component.get("evidence", {}).get("licenses", [])):
        text = holder.get("license", {}).get("text")
        if text is None:
            continue
        content = text["content"]
        if text.get("encoding") == "base64":
            content = base64.b64decode(content).decode(errors="replace")
        if content not in seen:
            seen.add(content)
            yield content.strip()


def main() -> None:
    """Write the text."""
    bom, output = map(Path, sys.argv[1:])
    sections = []
    for component in sorted(json.loads(bom.read_text())["components"], key=lambda one: one["name"].lower()):
        title = f"{component['name']} {component['version']}"
        declared = ", ".join(names(component)) or "see the text below"
        found = list(texts(component))
        if not found and not names(component):
            declared = "not declared in its metadata"
        sections.append("\n\n".join([f"{title}\n{'=' * len(title)}", f"Licence: {declared}", *found]))
    output.write_text("\n\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()
