"""Models of a Hub that can't be had: one clear error each, and no token told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import Hub, Repo, address, known_here, loopback

from conf.schema import ModelConfig
from lineage.errors import TactError
from models import build, compose, origin

TOWER = {"model_type": "siglip_vision_model"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with loopback() as made, known_here(made, tmp_path):
        made.stored["1"] = b'{"model_type": "llava"}'
        made.repos["owner/gated"] = Repo("public", [{"config.json": "1"}], gated=True)
        made.repos["owner/open"] = Repo("public", [{"config.json": "1"}])
        yield made


def whole(id: str, *, revision: str | None = None) -> None:
    build.whole_model(id=id, revision=revision, make=None, dtype="float32", attention="sdpa")


DOORS: dict[str, tuple[str, Callable[[], object]]] = {
    "whole": ("model.id", lambda: whole("owner/gated")),
    "origin": ("model.id", lambda: origin.of(ModelConfig(id="owner/gated"))),
    "part": ("model.parts.language", lambda: compose.llava(tower=TOWER, language="owner/gated")),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_gated_model_without_a_token(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    key, load = DOORS[door]
    said = f"^{key}=owner/gated: it can't be loaded: it is gated and no token is set: .*auth login"
    with pytest.raises(TactError, match=said):
        load()


def test_a_gated_model_with_a_token_that_is_not_enough(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "hf_" + "wrong" * 5
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(TactError, match="gated and the token that is set has no access") as error:
        whole("owner/gated")
    assert token not in str(error.value)


def test_a_model_or_a_revision_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(TactError, match="owner/none: .* no such model, or not for this token"):
        whole("owner/none")
    with pytest.raises(TactError, match="owner/open: .* no such revision: set model.revision"):
        whole("owner/open", revision="v9")


@pytest.mark.parametrize("how", ["offline", "out of reach"])
def test_without_a_network_it_is_said_what_is_cached(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    from huggingface_hub import constants

    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        address(monkeypatch, "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(TactError, match=f"{'OFFLINE' if how == 'offline' else how}.*has no model"):
        whole("owner/open")
    snapshot = tmp_path / "models--nearby--small" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(TactError, match="which has nearby/small. Give one of these or a folder"):
        whole("owner/open")
