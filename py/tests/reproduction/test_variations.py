from pathlib import Path

import pytest

from repro.errors import ReproductionError
from repro.toys import TOYS
from repro.variations import FILE, read_plan

PLAN = read_plan()


def test_more_variations_are_there_than_have_to_run() -> None:
    assert len(PLAN.variations) > PLAN.minimum >= 14


def test_every_toy_controls_a_variation() -> None:
    assert {variation.toy for variation in PLAN.variations} == set(TOYS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('toy = "year"', 'toy = "century"', "has no toy 'century'"),
        ('umask = "077"', 'mask = "077"', r"unknown keys \['mask'\]"),
        ('name = "clock"', 'name = "again"', "two variations of one name"),
        ("minimum = 14", "", "minimum"),
        ("[[variation]]", "[[variation", "holds no variations"),
    ],
)
def test_malformed_variations_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "variations.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ReproductionError, match=said):
        read_plan(tmp_path / "variations.toml")
