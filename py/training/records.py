"""A run's log: one JSON object a line, appended as the run goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.configuration import TrainingError

LOG_NAME = "log.jsonl"


def append_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Append a record to the log of a run.

    Raises
    ------
    OSError
        If the log cannot be written.
    """
    with (folder / LOG_NAME).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def read_records(log: Path) -> list[dict[str, Any]]:
    """All records of a log in order; where a run went on from an earlier step, those that it made anew count.

    Raises
    ------
    TrainingError
        If the log cannot be read.
    """
    records: list[dict[str, Any]] = []
    try:
        for line in log.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["kind"] == "start":
                records = [earlier for earlier in records if earlier["step"] <= record["step"]]
            records.append(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{log} cannot be read as the log of a run: {error}") from error
    return records
