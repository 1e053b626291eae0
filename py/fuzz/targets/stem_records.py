"""Records in folders of stems."""

import json

from fuzz.json_mutation import mutate_json
from fuzz.scratch import written
from fuzz.target import Target
from htdemucs_coreml.pipeline.stem_folder import RECORD_FILE
from htdemucs_coreml.pipeline.stem_record import recorded_stems, was_made

MADE = {"version": 1, "program": "0", "core": "core", "plan": {"type": "Plan"}, "options": {}}
"""What stems depend on, in the folder that records are read from."""


def stem_record(data: bytes) -> None:
    """A record: it is damaged, or names stems, or is the very one that was written."""
    folder = written(f"stems/{RECORD_FILE}", data).parent
    written("stems/drums.wav", b"drums")
    names = recorded_stems(folder)
    assert all(isinstance(name, str) for name in names)
    if was_made(folder, MADE, ["drums.wav"]):
        record = json.loads(data)
        assert names == ("drums.wav",)
        assert {key: value for key, value in record.items() if key != "stems"} == MADE


TARGETS = (Target("stem_record", stem_record, (), weight=6, mutate=mutate_json),)
