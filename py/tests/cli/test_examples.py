"""Every example of a command, in help and documentation, is one that the tool takes; those that can run do."""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

import htdemucs_coreml.cli.verify as verify_module
from fake_cores import gains_core
from htdemucs_coreml import backends
from htdemucs_coreml.cli import main
from htdemucs_coreml.cli.application import application
from htdemucs_coreml.core.contract import CoreContract
from htdemucs_coreml.package.reader import read_package
from htdemucs_coreml.verification import Requirement, Verification

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "swift" / "Example" / "README.md",
    ROOT / "goldens" / "README.md",
]
CALL = re.compile(r"(?:htdemucs-coreml|just run) (\w[^`\n]*)")
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
RECIPE = re.compile(r"^([a-z][\w-]*)(?: [^\n]*?)?:(?!=)", re.MULTILINE)
RECIPE_CALL = re.compile(r"(?:`|^    |\$\()(?:just|\./bootstrap) ([a-z][\w-]*)", re.MULTILINE)
CONTEXT = click.Context(application, **application.context_settings)
COMMANDS = list(application.list_commands(CONTEXT))
# Placeholders of documentation, and values that stand for them.
PLACEHOLDERS = {"NAME": "fixture", "MODEL": "fixture", "HEX": "0" * 64}


def calls_in(text: str) -> Iterator[str]:
    """Each call of the tool in a text, and each row of a table of `just run`."""
    for found in CALL.findall(text):
        if found.split()[0] in COMMANDS:
            yield found.split("  #")[0].strip()
    for table in text.split("| `just run` … |")[1:]:
        yield from ROW.findall(table.split("\n\n")[0])


def words_of(call: str) -> list[str]:
    """A call as a shell takes it apart, with a package for what another command would print."""
    words = shlex.split(re.sub(r"\$\([^)]*\)", "built.mlpackage", call))
    return [PLACEHOLDERS.get(word, word) for word in words]


def help_of(name: str) -> str:
    command = application.get_command(CONTEXT, name)
    assert command is not None
    return command.epilog or ""


EXAMPLES = {
    f"{page.relative_to(ROOT)}: {call}": call for page in PAGES for call in calls_in(page.read_text(encoding="utf-8"))
} | {f"{name} --help: {call}": call for name in COMMANDS for call in calls_in(help_of(name))}


def test_examples_are_found_where_they_are_known_to_be() -> None:
    sources = [name.split(": ")[0] for name in EXAMPLES]
    assert sources.count("README.md") >= 6
    assert {f"{name} --help" for name in COMMANDS} <= set(sources)


@pytest.mark.parametrize("call", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_one_that_the_tool_takes(call: str) -> None:
    name, *arguments = words_of(call)
    command = application.get_command(CONTEXT, name)
    assert command is not None
    # A mention of a command alone is no call of it.
    if arguments and "--help" not in arguments:
        command.make_context(name, arguments, parent=CONTEXT)


@pytest.fixture
def place(tmp_path: Path, small_package: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Make the files that a call takes, in a folder that it then runs in; cores and comparisons cost nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTDEMUCS_COREML_PACKAGES", str(tmp_path / "packages"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def load(*_: object, segment: str | None, **__: object) -> object:
        core = gains_core({"drums": 0.5, "bass": 0.5, "vocals": 1.0}, 343_980 if segment == "7.8s" else 441_000)
        assert isinstance(core.contract, CoreContract)
        return core

    monkeypatch.setattr(backends, "load_backend", load)
    verification = Verification(
        package=read_package(small_package),
        output_snr_db={"stems_real": 120.0},
        output_within_tolerance={"stems_real": True},
        stem_snr_db={"bass": 120.0},
        requirement=Requirement(110, every_element=True),
    )
    monkeypatch.setattr(verify_module, "verify_package", lambda *_: verification)
    for variant in ("mixed", "mixed-7_8s"):
        shutil.copytree(small_package, tmp_path / "packages" / f"fixture.{variant}.mlpackage")
    shutil.copytree(ROOT / "goldens" / "contents", tmp_path / "goldens" / "contents")
    (tmp_path / "goldens" / "lock.json").write_text('{"version": 2, "artefacts": {}, "unconfirmed": {}}')

    def make(words: list[str]) -> None:
        for word in words:
            path = Path(word)
            if path.suffix == ".mlpackage" and not path.exists():
                shutil.copytree(small_package, path)
            if path.suffix in (".mp3", ".wav", ".flac"):
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, np.zeros((100, 2)), 44_100)
            if word in ("Music", "INPUT…"):
                path.mkdir()
                soundfile.write(path / "song.wav", np.zeros((100, 2)), 44_100)

    return make


RUN = {
    name: call
    for name, call in EXAMPLES.items()
    if words_of(call)[0] in ("separate", "info", "inspect", "verify", "export") and words_of(call)[1:]
}


@pytest.mark.parametrize("call", RUN.values(), ids=RUN)
def test_an_example_that_needs_no_published_weights_runs(call: str, place: Callable[[list[str]], None]) -> None:
    words = words_of(call.replace("*.flac", "song.flac"))
    place(words)
    with pytest.raises(SystemExit) as exited:
        main(words)
    assert exited.value.code == 0


def test_every_recipe_that_is_named_is_there() -> None:
    recipes = set(RECIPE.findall((ROOT / "justfile").read_text("utf-8")))
    for page in PAGES:
        assert set(RECIPE_CALL.findall(page.read_text("utf-8"))) <= recipes, page


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", COMMANDS)
def test_both_forms_of_help_are_there(name: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([name, flag])
    assert exited.value.code == 0
    printed = capsys.readouterr().out
    assert "Examples:" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    command = application.get_command(CONTEXT, name)
    assert command is not None
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert options
    assert all(option.help for option in options)
