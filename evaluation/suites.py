"""The suites of a report: what is measured of a model, each kept in ``parts/`` once it is done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from datasets import Dataset, concatenate_datasets
from rich.console import Console

from conf import target
from conf.schema import Config
from data.pictures import listed
from data.policy import Policy, policy
from data.prepared import cache_folder, dealt, fingerprint, kept
from evaluation import behaviour, controls, examples, findings, flips, interface, stored, text
from evaluation.behaviour import UNSHARED, Answered
from evaluation.measure import Measure
from evaluation.pictures import Answerer, Pictures, seen
from lineage import files, people
from lineage.errors import TactError
from lineage.run import RunFolder, StageState
from models import configured
from models.vlm import VLM

SENDING = {"tower", "interface"}  # what leaves the device is theirs
Content = dict[str, Any]


class Suites:
    """The suites of one report, each made once and kept."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        stages: Sequence[StageState],
        *,
        fresh: bool = False,
    ) -> None:
        config = replace(config, checkpoints=str(run.path.parent))  # wherever it lies now
        self.config, self.run, self.stages, self.fresh = config, run, stages, fresh
        self.folder = stored.folder(run, stages)
        self.rule: Policy = policy(config.policy)
        everyone = dealt(config)
        self._check_people(everyone)
        self.splits = kept(config, everyone)
        self.test = self._split(config.report.split, "report.split")
        self._note_people()
        self.model: VLM = configured.finished(config, run, self.rule, stages=stages)
        self.console = Console(stderr=True)
        self._seen: dict[str, Pictures] = {}
        self._answerers: dict[str, Answerer] = {}

    def _note_people(self) -> None:
        for name in (self.config.report.split, self.config.report.attack_split):
            if len(self.splits.get(name, ())):
                people.note(self.run, self.stages[-1].stage, kind=people.REPORT, split=name,
                            people=self.splits[name]["subject_id"])  # fmt: skip

    def _check_people(self, everyone: Mapping[str, Dataset]) -> None:
        """Whoever was trained on must not be tested: people who moved are refused."""
        known = self.run.read().data_fingerprint
        if known is not None and known != fingerprint(everyone):
            raise TactError(
                f"run={self.run.name}: the source's people or splits are no longer those that it "
                "was trained on, so whoever it knows may now be tested: restore them"
            )

    @property
    def common(self) -> dict[str, Any]:
        """What every measure is labelled with."""
        return {"stage": self.stages[-1].stage, "seed": self.config.seed}

    def part(self, name: str, make: Callable[[], Content]) -> Content:
        """A suite's result, kept from an earlier attempt or report, or made now."""
        key = self._part_key(name)
        path = self.folder / "parts" / f"{name}.json"
        for there in (path, *self.run.path.glob(f"report/*/parts/{name}.json")):
            if there.exists() and not self.fresh:
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
        return stored.key(replace(self.config, report=settings), stages)

    def roles(self) -> list[str]:
        """Which sides there are: the test's people, and the attacker's where there are any."""
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

    def _probes(self, role: str) -> list[dict[str, Any]]:
        return behaviour.probes(
            self._pictures(role).table,
            seed=self.config.seed,
            policy=self.rule,
            people=self.config.report.people,
        )

    @cached_property
    def _said(self) -> list[Answered]:
        """What is said of the test's people."""
        return behaviour.answered(
            self._probes("test"), self._answerer("test"), seed=self.config.seed
        )

    def behaviour(self) -> Content:
        """What it says to the probes, the controls that need no other run, warnings, examples."""
        said = self._said
        if not said:
            raise TactError(
                f"report: no picture of data.people.{self.config.report.split} has a label to ask "
                "about: label them, or report.behaviour=false report.text=false"
            )
        made = behaviour.measures(said, **self.common)
        found = made + controls.without_model(said, **self.common)
        if not self._aligned():
            asked = [s.row for s in said if not s.insisting]
            found += controls.system_prompt(asked, self._answerer("test"), **self.common)
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
            path = stored.folder(self.run, self.stages[:count]) / "report.json"
            if path.exists():
                content: Content = files.read_json(path)
                if content.get("version") == stored.VERSION and stored.fits(content, self.stages):
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

    def controls(self) -> list[Measure]:
        """Controls that other reports hold: of an earlier stage, and of runs that are named."""
        made: list[Measure] = []
        if before := self._before():
            made += controls.of_before(before["measures"])
        for name, run in self.config.report.controls.items():
            other = RunFolder.existing(run, checkpoints=self.run.path.parent)
            folder = stored.folder(other, other.finished_stages())
            if not (folder / "report.json").exists():
                raise TactError(
                    f"report.controls.{name}={run}: it has no report; make one: "
                    f"python -m evaluation run={run}"
                )
            made += controls.of_another(
                files.read_json(folder / "report.json")["measures"], name=name
            )
        return made

    def text(self) -> Content:
        """Attackers on answers to what was not shared."""
        kept = [row for row in self._probes("attack") if row["condition"] in UNSHARED]
        own = behaviour.answered(kept, self._answerer("attack"), seed=self.config.seed)
        made = text.measures(own, behaviour.unshared(self._said), **self.common)
        return {"measures": [m.record() for m in made]}

    def flips(self) -> Content:
        """Answers about counterfactual pictures."""
        make = target.function(self.config.data.counterfactuals or {}, where="data.counterfactuals")
        firsts = _one_a_person(self.test, people=self.config.report.flip_people)
        changed = make(firsts, cache=str(cache_folder(self.config)))
        columns = firsts.column_names
        both = concatenate_datasets([firsts, changed.select_columns(columns)])
        answer = Answerer(self.model, seen(self.model, both, self.config), self.config.report)
        made = flips.measures(firsts, changed, answer, **self.common)
        return {"measures": [m.record() for m in made]}

    def interface(self) -> Content:
        """Attackers on what leaves the device."""
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
