"""The tables of events in docs/: what each event holds beside ``event``."""

import re
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


def documented_events(page: str) -> dict[str, set[str]]:
    """Return the fields of each event by its name."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", (_DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
