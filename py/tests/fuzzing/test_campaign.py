"""How a run is divided, and what its table says; the fuzzer itself is not needed here."""

from pathlib import Path

from fuzz import campaign
from fuzz.targets import TARGETS


def test_shares_add_up_to_the_executions_and_follow_the_weights() -> None:
    shares = campaign.shares(list(TARGETS.values()), 1_000_000)
    assert 1_000_000 <= sum(shares.values()) < 1_000_000 + len(TARGETS)
    for name, target in TARGETS.items():
        assert abs(shares[name] / target.weight - 1_000_000 / sum(t.weight for t in TARGETS.values())) < 1


def test_no_target_gets_trivially_few_executions() -> None:
    assert min(campaign.shares(list(TARGETS.values()), 1_000_000).values()) >= 10_000


def test_figures_are_those_that_the_fuzzer_printed_last() -> None:
    log = (
        "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n"
        "#64\tNEW    cov: 58 ft: 68 corp: 2/3b lim: 4 exec/s: 0 rss: 30Mb L: 2/2 MS: 1 Custom-\n"
        "#100\tDONE   cov: 60 ft: 70 corp: 2/3b lim: 4 exec/s: 50 rss: 30Mb\n"
        "stat::number_of_executed_units: 101\n"
    )
    assert campaign.figures(log) == (101, 60, 70)
    assert campaign.figures("ImportError: no module\n") == (0, 0, 0)


def test_a_finding_comes_with_the_command_that_runs_it_again() -> None:
    outcome = campaign.Outcome("lock", 5, 1, 1, 0.5, (Path("/a b/crash-1"),), Path("log"), ended=False)
    assert not outcome.succeeded
    assert campaign.reproducing(outcome, outcome.findings[0]) == "just fuzz-py-input lock '/a b/crash-1'"
