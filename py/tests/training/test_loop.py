"""A run learns, is the same whether it was interrupted or not, and refuses to go on as another one."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.configuration import Configuration, TrainingError
from training.loop import MAIN_STATE_NAME, STATE_NAME, loss_of, train
from training.records import LOG_NAME, read_records
from training.state import load_state, new_network, new_state, save_state
from training_runs import SMALL_RUN, changed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(folder, SMALL_RUN, CPU, print)
    return folder


@pytest.fixture
def new_run(whole_run: Path, tmp_path: Path) -> Path:
    """A folder whose songs are already rendered."""
    return run_beside(whole_run, tmp_path / "run")


def run_beside(whole_run: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "songs").symlink_to(whole_run / "songs")
    return folder


def tensors_of(path: Path, configuration: Configuration = SMALL_RUN) -> dict[str, Tensor]:
    state = load_state(path, configuration, CPU)
    moments = state.optimiser.state_dict()["state"]
    return {
        **{f"network {name}": tensor for name, tensor in state.network.state_dict().items()},
        **{f"average {name}": tensor for name, tensor in state.average.state_dict().items()},
        **{f"{at} {name}": tensor for at, values in moments.items() for name, tensor in values.items()},
    }


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize("stop", [2, 4])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(whole_run: Path, new_run: Path, stop: int) -> None:
    train(new_run, SMALL_RUN, CPU, print, stop_after=stop)
    train(new_run, SMALL_RUN, CPU, print)
    assert_equal(tensors_of(new_run / STATE_NAME), tensors_of(whole_run / STATE_NAME))


def test_a_run_is_prolonged_from_the_end_of_its_main_phase(whole_run: Path, tmp_path: Path) -> None:
    longer = dataclasses.replace(
        SMALL_RUN,
        schedule=dataclasses.replace(
            SMALL_RUN.schedule,
            main=dataclasses.replace(SMALL_RUN.schedule.main, steps=SMALL_RUN.schedule.main.steps + 1),
        ),
    )
    prolonged, direct = (run_beside(whole_run, tmp_path / name) for name in ("prolonged", "direct"))
    (prolonged / STATE_NAME).write_bytes((whole_run / MAIN_STATE_NAME).read_bytes())
    for folder in (prolonged, direct):
        train(folder, longer, CPU, print)
    assert_equal(tensors_of(prolonged / STATE_NAME, longer), tensors_of(direct / STATE_NAME, longer))


def test_the_log_tells_every_step_once_though_a_run_went_on_from_an_earlier_one(new_run: Path) -> None:
    train(new_run, SMALL_RUN, CPU, print, stop_after=2)
    early = (new_run / STATE_NAME).read_bytes()
    train(new_run, SMALL_RUN, CPU, print, stop_after=4)
    (new_run / STATE_NAME).write_bytes(early)
    train(new_run, SMALL_RUN, CPU, print)
    records = read_records(new_run / LOG_NAME)
    assert [record["step"] for record in records if record["kind"] == "progress"] == [1, 2, 3, 4, 5]
    assert [record["step"] for record in records if record["kind"] == "validation"] == [3, 5]


def test_another_run_is_not_continued(whole_run: Path) -> None:
    for other in (changed(silent=0.5), dataclasses.replace(SMALL_RUN, seed=2)):
        with pytest.raises(TrainingError, match="another seed, architecture or data"):
            train(whole_run, other, CPU, print)


def test_a_damaged_state_is_refused(whole_run: Path, tmp_path: Path) -> None:
    path = tmp_path / STATE_NAME
    path.write_bytes((whole_run / STATE_NAME).read_bytes()[:5000])
    with pytest.raises(TrainingError, match="cannot be read as a training state"):
        load_state(path, SMALL_RUN, CPU)
    torch.save({"step": 1}, path)
    with pytest.raises(TrainingError, match="no training state"):
        load_state(path, SMALL_RUN, CPU)


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / STATE_NAME
    state = new_state(SMALL_RUN, CPU)
    save_state(path, state, SMALL_RUN)
    before = path.read_bytes()

    def fail(content: object, partial: Path) -> None:
        del content
        partial.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        save_state(path, state, SMALL_RUN)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_first_weights_depend_on_the_seed_alone_and_leave_chance_as_it_was() -> None:
    torch.manual_seed(3)
    first = new_state(SMALL_RUN, CPU)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    again = new_state(SMALL_RUN, CPU)
    other = new_state(dataclasses.replace(SMALL_RUN, seed=2), CPU)
    assert_equal(dict(first.network.state_dict()), dict(again.network.state_dict()))
    assert any(
        not torch.equal(one, two)
        for one, two in zip(first.network.parameters(), other.network.parameters(), strict=True)
    )


def test_the_average_forgets_the_first_weights_quickly_and_then_follows_slowly(new_run: Path) -> None:
    first = new_state(SMALL_RUN, CPU)
    state = train(new_run, SMALL_RUN, CPU, print, stop_after=1)
    network, average = state.network.state_dict(), state.average.state_dict()
    for name, start in first.network.state_dict().items():
        torch.testing.assert_close(average[name], (start + 10 * network[name]) / 11, msg=name)
    slow = dataclasses.replace(SMALL_RUN, optimiser=dataclasses.replace(SMALL_RUN.optimiser, average=0.01))
    before = {name: tensor.clone() for name, tensor in average.items()}
    state = train(new_run, slow, CPU, print, stop_after=2)
    for name, tensor in state.average.state_dict().items():
        now = 0.01 * before[name] + 0.99 * state.network.state_dict()[name]
        torch.testing.assert_close(tensor, now, msg=name)


def test_steps_lower_the_loss_on_an_example_that_can_be_learnt() -> None:
    torch.manual_seed(1)
    network = new_network(SMALL_RUN)
    truth = torch.zeros(1, 6, 2, 13230)
    truth[:, 1] = torch.sin(torch.arange(13230) * 0.01)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = loss_of(network, truth, bfloat16=False)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0], losses


def test_the_loss_does_not_change_with_the_level_of_the_mix_and_stands_silence() -> None:
    network = new_network(SMALL_RUN)
    truth = torch.randn(2, 6, 2, 13230, generator=torch.Generator().manual_seed(1)) * 0.1
    loud, quiet = (loss_of(network, truth * factor, bfloat16=False).item() for factor in (1.0, 0.25))
    assert quiet == pytest.approx(loud, rel=1e-3)
    assert torch.isfinite(loss_of(network, torch.zeros_like(truth), bfloat16=False))


def test_training_leaves_the_segment_of_the_network_as_it_is() -> None:
    network = new_network(SMALL_RUN)
    before = network.segment
    loss_of(network, torch.zeros(1, 6, 2, 13230), bfloat16=False)
    assert network.segment == before
