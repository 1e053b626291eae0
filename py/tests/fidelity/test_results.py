import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidelity_figures import package_figures, results, signal_figures
from htdemucs_coreml.fidelity.errors import FidelityError
from htdemucs_coreml.fidelity.results import read_results, results_text, rounded, write_results

levels = st.floats(-1000, 1000) | st.sampled_from([math.inf, -math.inf])
errors = st.floats(1e-12, 1e6) | st.sampled_from([0.0, math.inf])


@given(levels, levels, errors, st.booleans(), levels)
def test_what_is_read_is_what_was_written_but_for_rounding(
    snr_db: float, silence_dbfs: float, error: float, finite: bool, pessimistic_db: float
) -> None:
    columns = replace(signal_figures((snr_db, 1.0)), maximum_error=(error, error), mean_relative_error=(error, 0.0))
    figures = replace(
        package_figures(silence_dbfs=silence_dbfs, finite=finite, pessimistic_db=pessimistic_db),
        signals={"music": columns},
    )
    written = results({"mixed-7_8s": figures}, {"mixed-7_8s": figures})
    read = rounded(written)
    assert rounded(read) == read
    assert read.conditions == written.conditions
    assert read.packages == read.attention
    one = read.packages["mixed-7_8s"]
    assert one.signals["music"].snr_db[0] == pytest.approx(snr_db, abs=0.0051)
    assert one.signals["music"].si_sdr_change_db == written.packages["mixed-7_8s"].signals["music"].si_sdr_change_db
    assert one.signals["music"].maximum_error[0] == pytest.approx(error, rel=0.0051)
    assert one.silence_dbfs == pytest.approx(silence_dbfs, abs=0.0051)
    assert one.finite is finite
    assert one.pessimistic_db == pytest.approx(pessimistic_db, abs=0.0051)


def test_headroom_is_float16s_largest_number_through_the_largest_value() -> None:
    assert package_figures(largest_float16=65504.0).headroom == 1.0
    assert package_figures(largest_float16=8188.0).headroom == 8.0
    assert package_figures(largest_float16=0.0).headroom == math.inf
    assert package_figures(largest_float16=math.inf).headroom == 0.0


def test_a_file_appears_with_what_was_measured(tmp_path: Path) -> None:
    written = rounded(results({"mixed-7_8s": package_figures()}))
    write_results(tmp_path / "fidelity.toml", written)
    assert read_results(tmp_path / "fidelity.toml") == written


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[conditions]", "[other]"),
        ("casts = ", "cast = "),
        ("pessimistic_db = 41.25", ""),
        ("snr_db = [", "snr_db = [true, x"),
        ("seed = 2", ""),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "fidelity.toml"
    path.write_text(results_text(results({"mixed-7_8s": package_figures()})).replace(old, new, 1))
    with pytest.raises(FidelityError, match=r"fidelity.toml is malformed"):
        read_results(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FidelityError, match=r"none.toml cannot be read: No such file"):
        read_results(tmp_path / "none.toml")
