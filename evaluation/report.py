"""The report of a run after one of its stages: measures and examples, as JSON and as a page.

It is made suite by suite, and each finished suite is kept in ``parts/``, so that a report that
died half-way goes on. What was measured of other weights or another config is never taken up again.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from rich.console import Console

from conf import compose, target
from conf.schema import Config
from data.pictures import listed
from data.policy import Policy, policy
from data.prepared import cache_folder, prepared
from evaluation import behaviour, controls, examples, findings, flips, interface, page, text
from evaluation.behaviour import UNSHARED, Answered
from evaluation.measure import Measure
from evaluation.pictures import Answerer, Pictures, seen
from lineage import files, provenance
from lineage.errors import TactError
from lineage.run import RunFolder, StageState
from models import configured
from models.vlm import VLM

VERSION = 2
SENDING = {"tower", "interface"}  # what leaves the device is theirs
Content = dict[str, Any]


def report(
    run: RunFolder, *, stage: str | None = None, cache: str | None = None, again: bool = False
) -> Content:
    """Measure the run after ``stage`` (its last finished one by default).

    Writes ``report/<n>-<stage>/``; one that is there, of these weights and this config, is kept
    unless ``again``. Raises TactError.
    """
    config = compose.from_yaml(run.path / "config.yaml")
    if cache:
        config.cache = cache
    stages = _upto(run, stage)
    folder = _folder(run, stages)
    key = _key(config, stages)
    there = folder / "report.json"
    if there.exists() and not again:
        content: Content = files.read_json(there)
        if content.get("key") == key:
            return content
    torch.set_num_threads(config.trainer.threads)
    torch.set_flush_denormal(True)
    made = _Report(config, run, stages, folder, key)
    content = made.content()
    files.write_json(there, content)
    files.write_text(folder / "report.html", page.html(content, folder))
    return content


def _upto(run: RunFolder, stage: str | None) -> list[StageState]:
    stages = run.finished_stages()
    names = [s.stage for s in stages]
    if not stages:
        raise TactError(f"run={run.name}: no stage of it is finished; train it first")
    if stage is not None and stage not in names:
        raise TactError(f"stage={stage}: run={run.name} has finished {', '.join(names)}")
    return stages[: names.index(stage) + 1] if stage else stages


def _folder(run: RunFolder, stages: Sequence[StageState]) -> Path:
    return run.path / "report" / f"{len(stages)}-{stages[-1].stage}"


def _key(config: Config, stages: Sequence[StageState]) -> str:
    """What a report depends on: weights and config."""
    digest = hashlib.sha256(compose.fingerprint(config).encode())
    for state in stages:
        digest.update(str(state.weights_sha256).encode())
    return digest.hexdigest()[:24]


class _Report:
    """One report in the making."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        stages: Sequence[StageState],
        folder: Path,
        key: str,
    ) -> None:
        self.config, self.run, self.stages, self.folder, self.key = config, run, stages, folder, key
        self.rule: Policy = policy(config.policy)
        self.splits = prepared(config)
        self.test = self._split(config.report.split, "report.split")
        self.model: VLM = configured.finished(config, run, self.rule, stages=stages)
        self.console = Console(stderr=True)
        self._seen: dict[str, Pictures] = {}
        self._answerers: dict[str, Answerer] = {}

    @property
    def common(self) -> dict[str, Any]:
        return {"stage": self.stages[-1].stage, "seed": self.config.seed}

    def content(self) -> Content:
        """All of ``report.json``."""
        wanted = self.config.report
        found: list[Measure] = []
        shown: Content = {"warnings": [], "examples": []}
        if wanted.behaviour:
            part = self._part("behaviour", self._behaviour)
            shown = {"warnings": part["warnings"], "examples": part["examples"]}
            found += _measures(part) + self._controls()
        for name, suite, chosen in (
            ("text", self._text, wanted.text and "attack" in self._roles()),
            ("flips", self._flips, wanted.flips and self.config.data.counterfactuals),
            ("interface", self._interface, wanted.interface and "attack" in self._roles()),
        ):
            if chosen:
                found += _measures(self._part(name, suite))
        interface_ = asdict(self.config.model.interface)
        said = findings.findings(
            found, interface=interface_, bounds=self.rule.bounds,
            collapsed=bool(shown["warnings"]),
        )  # fmt: skip
        revision, dirty = provenance.git_revision()
        return {
            "version": VERSION,
            "key": self.key,
            "run": self.run.name,
            **self.common,
            "weights_sha256": [s.weights_sha256 for s in self.stages],
            "config_sha256": compose.fingerprint(self.config),
            "data_fingerprint": self.run.read().data_fingerprint,
            "revision": revision + ("-dirty" if dirty else ""),
            "interface": interface_,
            "policy": self.rule.name,
            "bounds": self.rule.bounds,
            **shown,
            "findings": [f.record() for f in said],
            "measures": [m.record() for m in found],
        }

    def _part(self, name: str, make: Callable[[], Content]) -> Content:
        """A suite's result, kept from an earlier attempt or report, or made now."""
        key = self._part_key(name)
        path = self.folder / "parts" / f"{name}.json"
        for there in (path, *self.run.path.glob(f"report/*/parts/{name}.json")):
            if there.exists():
                kept: Content = files.read_json(there)
                if kept["key"] == key:
                    return {**kept, "measures": [{**m, **self.common} for m in kept["measures"]]}
        self.console.print(f"report {self.run.name}: {name}")
        made = {**make(), "key": key}
        files.write_json(path, made)
        return made

    def _part_key(self, name: str) -> str:
        """A suite does not depend on other runs' reports; what leaves the device, on its stages."""
        stages = [s for s in self.stages if name != "interface" or SENDING & set(s.trains)]
        settings = replace(self.config.report, controls={})
        return _key(replace(self.config, report=settings), stages)

    def _roles(self) -> list[str]:
        there = self.splits.get(self.config.report.attack_split)
        return ["test", "attack"] if there is not None and len(there) else ["test"]

    def _split(self, name: str, where: str) -> Dataset:
        table = self.splits.get(name)
        if table is None or not len(table):
            raise TactError(
                f"{where}={name}: no such split, or nobody in it; there are "
                f"{ {k: len(v) for k, v in self.splits.items()} } pictures. Give people in "
                f"data.people.{name}"
            )
        return table

    def _pictures(self, role: str) -> Pictures:
        if role not in self._seen:
            split = self.config.report.split if role == "test" else self.config.report.attack_split
            self._seen[role] = seen(self.model, self.splits[split], self.config)
        return self._seen[role]

    def _answerer(self, role: str) -> Answerer:
        if role not in self._answerers:
            pictures = self._pictures(role)
            self._answerers[role] = Answerer(self.model, pictures, self.config.report)
        return self._answerers[role]

    def _answered(
        self, role: str, conditions: Sequence[str] = behaviour.CONDITIONS
    ) -> list[Answered]:
        answerer = self._answerer(role)
        return behaviour.answered(
            answerer.pictures.table,
            answerer,
            seed=self.config.seed,
            policy=self.rule,
            people=self.config.report.people,
            conditions=conditions,
        )

    def _behaviour(self) -> Content:
        said = self._answered("test")
        made = behaviour.measures(said, **self.common)
        settings: Any = {"seed": self.config.seed, "policy": self.rule,
                         "people": self.config.report.people}  # fmt: skip
        found = made + controls.without_model(
            self.test, stage=self.stages[-1].stage, **settings
        )  # fmt: skip
        if not self._aligned():
            found += controls.system_prompt(
                self.test, self._answerer("test"), stage=self.stages[-1].stage, **settings
            )
        chosen = examples.chosen(said, count=self.config.report.examples)
        before = self._said_before(chosen)
        return {
            "measures": [m.record() for m in found],
            "warnings": findings.warnings(said, made),
            "examples": examples.shown(chosen, before, folder=self.folder),
        }

    def _aligned(self) -> bool:
        """Whether a stage that reads preferences is among the finished ones."""
        stage = self.config.stage
        return any(s.stage in stage and stage[s.stage].columns == "preference" for s in self.stages)

    def _before(self) -> Content | None:
        """The report of an earlier stage of this run, the latest there is."""
        for count in range(len(self.stages) - 1, 0, -1):
            path = _folder(self.run, self.stages[:count]) / "report.json"
            if path.exists():
                content: Content = files.read_json(path)
                hashes = [s.weights_sha256 for s in self.stages[:count]]
                if content.get("version") == VERSION and content["weights_sha256"] == hashes:
                    return content
        return None

    def _said_before(self, chosen: Sequence[Answered]) -> tuple[str, list[str]] | None:
        """The stage of the report before, and what its model said to the same prompts."""
        content = self._before()
        if content is None:
            return None
        names = [s.stage for s in self.stages]
        upto = self.stages[: names.index(content["stage"]) + 1]
        model = configured.finished(self.config, self.run, self.rule, stages=upto)
        answer = Answerer(model, self._pictures("test"), self.config.report)
        return content["stage"], answer([s.row for s in chosen])

    def _controls(self) -> list[Measure]:
        made: list[Measure] = []
        if before := self._before():
            made += controls.of_before(before["measures"])
        for name, run in self.config.report.controls.items():
            other = RunFolder.existing(run, checkpoints=self.run.path.parent)
            folder = _folder(other, other.finished_stages())
            if not (folder / "report.json").exists():
                raise TactError(
                    f"report.controls.{name}={run}: it has no report; make one: "
                    f"python -m evaluation run={run}"
                )
            made += controls.of_another(
                files.read_json(folder / "report.json")["measures"], name=name
            )
        return made

    def _text(self) -> Content:
        sides = [self._answered(role, UNSHARED) for role in ("attack", "test")]
        made = text.measures(sides[0], sides[1], **self.common)
        return {"measures": [m.record() for m in made]}

    def _flips(self) -> Content:
        make = target.function(self.config.data.counterfactuals or {}, where="data.counterfactuals")
        firsts = _one_a_person(self.test, people=self.config.report.flip_people)
        changed = make(firsts, cache=str(cache_folder(self.config)))
        columns = firsts.column_names
        both = concatenate_datasets([firsts, changed.select_columns(columns)])
        answer = Answerer(self.model, seen(self.model, both, self.config), self.config.report)
        made = flips.measures(firsts, changed, answer, **self.common)
        return {"measures": [m.record() for m in made]}

    def _interface(self) -> Content:
        made = interface.measures(
            self.model,
            self._pictures("attack"),
            self._pictures("test"),
            strength=self.config.report.strength,
            curves=self.config.report.curves,
            **self.common,
        )
        return {"measures": [m.record() for m in made]}


def _one_a_person(pictures: Dataset, *, people: int) -> Dataset:
    """The first picture of each of the first ``people`` people."""
    first: dict[str, int] = {}
    for i, row in enumerate(listed(pictures)):
        first.setdefault(row["subject_id"], i)
    return pictures.select(list(first.values())[:people])


def _measures(part: Mapping[str, Any]) -> list[Measure]:
    return [Measure(**record) for record in part["measures"]]
