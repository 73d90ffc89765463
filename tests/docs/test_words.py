"""What the pages name is there: doors, verbs, config keys, functions, files, links."""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import pages
import pytest
from hydra.utils import get_method, get_object
from pages import Page

from conf.compose import load
from conf.schema import Config
from lineage.place import CHECKOUT
from slurm import manifest

COMPOSED = ("train", "data", "privacy")  # doors whose words are a config
EACH = {command: name for name in pages.ALL for command in Page(name).commands}
LINKED = sorted([*CHECKOUT.glob("docs/*.md"), CHECKOUT / "README.md"])
GROUPS = "data|model|stage|report|trainer|policy|privacy|site"
SETTING = re.compile(rf"^([+]?({GROUPS})\.[\w.]+=|~stage\.)")
DOTTED = re.compile(r"^([a-z_]\w*(?:\.\w+)+)(?<!\.html)(?<!\.json)(?:=.*)?$")


@pytest.mark.parametrize(("command", "page"), EACH.items())
def test_a_commands_words_are_known(command: str, page: str, tmp_path: Path) -> None:
    Page(page).write_files(tmp_path)
    given = pages.words(command, mine=tmp_path)
    match given:
        case ["make", target]:
            assert f"\n{target}:" in (CHECKOUT / "Makefile").read_text()
        case ["python", "-m", "pytest", where, *_]:
            assert (CHECKOUT / where).exists()
        case ["python", "-m", room, *words]:
            _check_door(room, words)
        case ["python", script, *_]:
            assert Path(script).is_relative_to(tmp_path) and Path(script).exists()
        case ["export", "MINE=~/tact-mine"]:
            pass
        case _:
            pytest.fail(f"{command!r} is no command that this test knows")


def _check_door(room: str, words: list[str]) -> None:
    said = importlib.import_module(f"{room}.__main__").HELP
    verb = words.pop(0) if "=" not in words[0] else ""
    assert verb in said
    if verb == "--multirun":
        common, points = manifest.expanded([w for w in words if not w.startswith("run=")])
        assert all(load([*common, *point.words, "run=x"]) for point in points)
        return
    if verb == "sweep":
        own = ("sweep=", "limit=")
        assert manifest.made("x", [w for w in words if not w.startswith(own)], limit=1).points
    elif room in COMPOSED or verb in ("submit", "plan"):
        assert load([w for w in words if w != "probe=true"], check=room in ("train", "slurm"))
    else:
        assert [word for word in words if f"{word.partition('=')[0]}=" not in said] == []


def test_what_is_not_run_is_on_a_page_and_all_that_installs_is_not_run() -> None:
    assert pages.NOT_RUN.keys() <= EACH.keys()
    assert {command for command in EACH if command.startswith("make")} <= pages.NOT_RUN.keys()


@pytest.mark.parametrize("name", pages.ALL)
def test_keys_and_functions_that_a_page_names_are_there(name: str) -> None:
    roots = {field.name for field in fields(Config)} | {"train", "models", "evaluation", "conf"}
    for code in _inline(name):
        for word in code.split():
            found = DOTTED.match(word)
            if found and found[1].split(".")[0] in roots and found[1] not in _keys():
                assert get_object(found[1]) is not None


@pytest.mark.parametrize("name", pages.ALL)
def test_settings_that_a_page_names_compose(name: str) -> None:
    said = [word for code in _inline(name) for word in re.split(r" (?=[+~]?[a-z_.]+=)", code)]
    words = [word for word in said if SETTING.match(word)]
    base = ["experiment=photos", "model=tiny", "data.source.path=x", "run=x"]
    assert load([*base, *words], check=False).run == "x"


@pytest.mark.parametrize("page", LINKED, ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^):#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def _inline(name: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", Page(name).text, flags=re.S))


@cache
def _keys() -> frozenset[str]:
    """Every key of the shipped configs, and every option of the functions that they name."""
    configs = (
        ["experiment=portraits_onpolicy"],
        ["experiment=photos", "data.source.path=x", "model.parts.language=x"],
        ["data=conversations", "data.source.path=x"],
    )
    return frozenset(
        key for words in configs
        for key in _named(asdict(load([*words, "run=x"], check=False)), "")
    )  # fmt: skip


def _named(value: dict[str, Any], at: str) -> Iterator[str]:
    if target := value.get("_target_"):
        yield from (f"{at}{name}" for name in inspect.signature(get_method(target)).parameters)
    for key, each in value.items():
        yield f"{at}{key}"
        if isinstance(each, dict):
            yield from _named(each, f"{at}{key}.")
