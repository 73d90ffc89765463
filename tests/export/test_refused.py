"""Tampered runs: each is refused with a reason of its own, and what stood there stays."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf import compose
from data.policy import policy
from export import clean
from export.evidence import evidence
from export.run import export
from lineage import files
from lineage.errors import TactError
from lineage.run import RunFolder
from privacy.ledger import Ledger
from privacy.plan import bare

PRIVACY = {"epsilon": 8.0, "units": 30, "expected_batch_units": 6.0, "delta": 1e-3}
TOKEN = "hf_" + "aB3dE6gH9" * 4
REASONS = {
    "ledger edited": "is not as it was written",
    "ledger cut off": "ledger.json in .* is no whole JSON",
    "ledger gone": "ledger.json is missing",
    "ledger of another plan": "of another plan than the config's: epsilon differ",
    "ledger with steps left out": "took 20 steps and 19 are charged",
    "ledger of other weights": "stage prefer has other weights than those charged",
    "ledger of less noise": "its noise multiplier is",
    "ledger of a later time": "not as the run's last private stage left it",
    "key known": "epsilon is not valid: key known",
    "stage missing": "never finished: prefer missing",
    "weights changed": "weights of stage prefer are missing or not those",
    "report missing": "the step report after prefer is missing",
    "earlier report missing": "the step report after instruct is missing",
    "report of other weights": "report is of other weights",
    "report edited": "report is not as it was measured",
    "bound not met": "bounds leak_rate by 0.05 and that is not met",
    "bound not measured": "bounds attacker_auc by 0.6 .* Nothing measured it",
    "epsilon's bound not met": "bounds epsilon by 2 and that is not met",
    "bounds dropped": "judged by the bounds leak_rate=0.05, attacker_auc=0.6, .* now has none;",
    "bound raised": "the policy now has leak_rate=1, attacker_auc=0.6;",
    "private people made public": "people of stage instruct were not public as it trained",
    "public people made private": "people of stage base_tower were public as it trained",
    "test people made public": "config.yaml is not the one that its report was made with",
    "unknown bound allowed": "has no bound 'leaks'",
    "path of this machine": "README.md holds a path of this machine",
    "token": "README.md holds a token or a key",
    "row": "README.md holds a row of private data",
}


def change(run: RunFolder, **options: Any) -> None:
    """Rewrite keys of the run's config; a dotted one is of a section."""
    config = compose.from_yaml(run.path / "config.yaml")
    for key, value in options.items():
        *sections, last = key.split("__")
        at: Any = config
        for section in sections:
            at = getattr(at, section)
        if isinstance(at, dict):
            at[last] = value
        else:
            setattr(at, last, value)
    files.write_text(run.path / "config.yaml", compose.to_yaml(config))


def remeasured(run: RunFolder) -> None:
    """The last report, as if it had been made under the config that is there now."""
    config = compose.from_yaml(run.path / "config.yaml")
    now = {"bounds": policy(config.policy).bounds, "config_sha256": compose.fingerprint(config)}
    measured(run, lambda r: r.update(now), again=True)


def ledger(run: RunFolder, *, steps: int = 20, **content: Any) -> Ledger:
    """A ledger of the run's own private stages, as training leaves it but for ``content``."""
    change(run, **{f"privacy__{k}": v for k, v in PRIVACY.items()})
    remeasured(run)
    config = compose.from_yaml(run.path / "config.yaml")
    made = Ledger.begin(run.path, bare(config), key_known=False)
    for state in run.finished_stages():
        if state.stage in made.content["charged"]:
            made.charge(state.stage, steps)
            made.close(state.stage, str(state.weights_sha256))
    made.content |= content
    made._write()
    return made


def noisier(run: RunFolder) -> None:
    made = ledger(run)
    for event in made.content["plan"]["events"]:
        event["noise_multiplier"] /= 2
    made._write()


def edited(path: Path, edit: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def measured(run: RunFolder, edit: Callable[[Any], Any], *, again: bool) -> None:
    """Edit the last report; with ``again`` its digest fits, as if it had been measured so."""
    path = run.path / "report" / "5-prefer" / "report.json"
    edited(path, edit)
    if again:
        edited(path, lambda r: (r.pop("digest"), r.update(digest=files.content_sha256(r))))


def without(run: RunFolder, *claims: str) -> None:
    kept = lambda r: r.update(findings=[f for f in r["findings"] if f["bound"] not in claims])  # noqa: E731
    measured(run, kept, again=True)


def manifest(run: RunFolder, edit: Callable[[Any], Any]) -> None:
    edited(run.path / "manifest.json", edit)


def tamper(case: str, run: RunFolder) -> None:
    path = run.path / "ledger.json"
    match case:
        case "ledger edited":
            ledger(run)
            edited(path, lambda c: c["charged"].update(prefer=1))
        case "ledger cut off":
            ledger(run)
            path.write_text(path.read_text()[:-20])
        case "ledger gone":
            ledger(run)
            path.unlink()
        case "ledger of another plan":
            ledger(run)
            change(run, privacy__epsilon=4.0)
        case "ledger with steps left out":
            ledger(run, steps=19)
        case "ledger of other weights":
            ledger(run).close("prefer", "0" * 64)
        case "ledger of less noise":
            noisier(run)
        case "ledger of a later time":
            first = ledger(run).digest
            manifest(run, lambda m: m.update(ledger_sha256=first))
            later = Ledger.read(run.path)
            later.content["not_accounted"].append("more")
            later._write()
        case "key known":
            ledger(run, key_known=True)
        case "stage missing":
            manifest(run, lambda m: m["stages"].pop())
        case "weights changed":
            run.weights("prefer").write_bytes(run.weights("instruct").read_bytes())
        case "report missing":
            (run.path / "report" / "5-prefer" / "report.json").unlink()
        case "earlier report missing":
            (run.path / "report" / "4-instruct" / "report.json").unlink()
        case "report of other weights":
            measured(run, lambda r: r["weights_sha256"].__setitem__(-1, "0" * 64), again=True)
        case "report edited":
            measured(run, lambda r: r["measures"][0].update(value=0.0), again=False)
        case "bound not met":
            change(run, export__allow=["attacker_auc"])
        case "bound not measured":
            without(run, "attacker_auc")
            change(run, export__allow=["leak_rate"])
        case "epsilon's bound not met":
            ledger(run)
            bounds = {"leak_rate": 0.05, "attacker_auc": 0.6, "epsilon": 2.0}
            change(run, policy__bounds=bounds)
            remeasured(run)
        case "bounds dropped":
            change(run, policy__bounds={}, export__allow=[])
        case "bound raised":
            change(run, policy__bounds={"leak_rate": 1.0, "attacker_auc": 0.6})
        case "private people made public":
            change(run, data__public=["public", "validation", "private"])
        case "public people made private":
            change(run, data__public=["validation"])
        case "test people made public":
            change(run, data__public=["public", "validation", "test"])
        case "unknown bound allowed":
            change(run, export__allow=["leaks"])
        case "path of this machine":
            change(run, description=f"read from {run.path.parent}/faces")
        case "token":
            change(run, description=f"pushed with {TOKEN}")
        case "row":
            change(run, description=f"works well on {somebody(run)} too")
        case _:
            raise AssertionError(case)


def somebody(run: RunFolder) -> str:
    """The id of a person who is not public."""
    config = compose.from_yaml(run.path / "config.yaml")
    return min(clean.Rows.of(config).ids)


@pytest.mark.parametrize("case", REASONS)
def test_a_tampered_run_is_refused_with_its_own_reason(
    finished: Callable[[str], Path], tmp_path: Path, case: str
) -> None:
    shutil.copytree(finished("private"), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    before = (run.path / "export" / "README.md").read_bytes()
    tamper(case, run)
    with pytest.raises(TactError) as error:
        export(run)
    said = str(error.value)
    assert [name for name, reason in REASONS.items() if re.search(reason, said)] == [case], said
    assert TOKEN not in said and (case != "row" or somebody(run) not in said)
    assert (run.path / "export" / "README.md").read_bytes() == before
    assert not list(run.path.glob(".export*"))


def test_what_was_not_tampered_with_is_not_refused(
    finished: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(finished("private"), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    config = compose.from_yaml(run.path / "config.yaml")
    assert evidence(config, run, policy(config.policy)).ledger is None
    ledger(run)
    config = compose.from_yaml(run.path / "config.yaml")
    papers = evidence(config, run, policy(config.policy))
    assert papers.ledger is not None and papers.ledger["charged_steps"]["prefer"] == 20
    assert papers.report is not None and len(papers.earlier) == 1
    stages = [s.stage for s in run.finished_stages()]
    change(run, description="told anew", steps=stages, cache="elsewhere", logger={},
           trainer__threads=2, export__dtype="bfloat16")  # fmt: skip
    config = compose.from_yaml(run.path / "config.yaml")
    assert evidence(config, run, policy(config.policy)).report == papers.report


def places(folder: Path) -> dict[str, str]:
    """What must not stand in a file, by the reason that is told."""
    return {
        "path of this machine": f'"name": "{folder}/model"',
        "path of this": "read from /ho" + "me/ann/faces",
        "token or a key": "-----BEGIN RSA PRIVATE KEY-----",
        "token": f"key={'sk-' + 'x1' * 12}",
        "row of private data": "as person-017 said",
        "row of private": "as we heard from person-017.",
        "of private data": '{"picture": "faces/person-017.png"}',
        "a row": "they told us that they were born in a small town",
        "row of": '{"picture": "data:image/png;base64,AAAA"}',
    }


@pytest.mark.parametrize("reason", places(Path("x")))
def test_a_files_content_is_searched(tmp_path: Path, reason: str) -> None:
    rows = clean.Rows(
        ["person-017", "17", "ann"], ["born in a small town", "born in a small town x"]
    )
    rows = clean.Rows(rows.ids, ["they told us that they were born in a small town", "yes"])
    (tmp_path / "config.json").write_text('{"17": "ann said yes", "at": "data/portraits/x"}')
    clean.check(tmp_path, places=[str(tmp_path)], rows=rows)
    (tmp_path / "config.json").write_text(places(tmp_path)[reason])
    with pytest.raises(TactError, match=f"config.json holds .*{reason}"):
        clean.check(tmp_path, places=[str(tmp_path)], rows=rows)


def test_a_secret_of_the_environment_is_found_in_a_weights_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import save_file

    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef-own")
    told = {"note": "0123456789abcdef-own"}
    save_file({"a": torch.zeros(2)}, tmp_path / "model.safetensors", metadata=told)
    with pytest.raises(TactError, match="token or a key") as error:
        clean.check(tmp_path, places=[], rows=clean.Rows([], []))
    assert "0123456789" not in str(error.value)


@pytest.mark.parametrize("name", ["person.png", "rows.arrow", "model.bin", "model/last.ckpt"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(TactError, match="is of no kind|is a picture that export did not draw"):
        clean.check(tmp_path, places=[], rows=clean.Rows([], []))


def test_a_sets_own_sentences_are_rows(tmp_path: Path, short: Callable[..., list[str]]) -> None:
    from datasets import Dataset
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = [
        {"image": str(tmp_path / "a.png"), "subject_id": f"person-{i}",
         "messages": [{"role": "system", "content": text("you are a helpful assistant to them")},
                      {"role": "user", "content": text(f"I am number {i}, {SAID}")},
                      {"role": "assistant", "content": text("a red coat")}]}
        for i in range(8)
    ]  # fmt: skip
    Dataset.from_list(rows).to_json(tmp_path / "rows.jsonl")
    words = ["data=conversations", f"data.source.path={tmp_path}/rows.jsonl", "run=x"]
    config = compose.load([*words, "data.people={private: 2, test: 2}"], check=False)
    found = clean.Rows.of(config)
    assert found.sentences == {f"I am number {i}, {SAID}" for i in range(8)}
    assert f"They said: I am number 3, {SAID}" in found
    assert "person-1" in found.ids and "see person-1, there" in found
    assert "a red coat" not in found and "you are a helpful assistant to them" not in found


FOUND = {
    **{f"read from /{root}/faces/a": "path" for root in
       ("nfs", "opt", "var", "srv", "project", "projects", "storage", "Volumes")},
    "read from ~/faces": "path",
    '{"at": "C:/Users/ann"}': "path",
    '{"at": "C:\\\\Users\\\\ann"}': "path",
    "file:///faces/a": "path",
    "see Anna Maria Rossi.": "row",
    '{"picture": "people/anna-1.png"}': "row",
    "of GCC/0045/001.jpg": "row",
    "key " + ".".join(["eyJ" + "hbGciOi" * 3, "eyJ" + "zdWIiOi" * 3, "x1_" * 9]): "token",
    "key npm_" + "a1" * 18: "token",
    "key AIza" + "Sy1-_" * 7: "token",
    "postgres://ann:secret@db.example.org/x": "token",
}  # fmt: skip
NOT_FOUND = (
    "https://example.org/opt/x/var/y and/or application/json, 1/2 of a/b",
    '{"split": "\\\\s+/(?!opt/x)", "said": "Q:\\nA:\\n", "a": "/", "b": "</opt>"}',
    "{{ '~/' }} {{ a ~ b }} https://example.org/~ann/x ~ /",
    "http://example.org:8080/a@b, mail ann:x@example.org",
    "Anna Maria Rossini, people/anna-12, GCC/0045/001.jpgs",
)


@pytest.mark.parametrize("said", [*FOUND, *NOT_FOUND])
def test_paths_keys_and_ids_are_told_from_other_words(tmp_path: Path, said: str) -> None:
    rows = clean.Rows(["Anna Maria Rossi", "people/anna-1", "GCC/0045/001.jpg"], [])
    (tmp_path / "config.json").write_text(said)
    if said in NOT_FOUND:
        return clean.check(tmp_path, places=[], rows=rows)
    with pytest.raises(TactError, match=f"holds a {FOUND[said]}"):
        clean.check(tmp_path, places=[], rows=rows)


def test_folders_that_the_config_names_are_places(tmp_path: Path) -> None:
    own = {"cache": "/a/cache", "data.source.path": "/b/faces", "model.id": "/c/llava"}
    words = ["data=folder", "model=pretrained", "run=x", *[f"{k}={v}" for k, v in own.items()]]
    named = clean.places(RunFolder(tmp_path), compose.load(words, check=False))
    assert {*own.values()} < named
    (tmp_path / "config.json").write_text(
        "https://example.org/b/faces, </b/faces>, /b/faces-of-others"
    )
    clean.check(tmp_path, places=named, rows=clean.Rows([], []))
    (tmp_path / "config.json").write_text("read from /b/faces.")
    with pytest.raises(TactError, match="holds a path"):
        clean.check(tmp_path, places=named, rows=clean.Rows([], []))


def text(said: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": said}]


SAID = "what should I wear to my daughter's wedding?"
