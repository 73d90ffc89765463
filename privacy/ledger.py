"""``ledger.json``: what a run has promised and what it has released, never less than was.

A step is charged before its noise is drawn. The file holds no figure of private rows: rates, σ and
steps are the config's, and steps are counted whatever was drawn in them.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lineage import files
from lineage.errors import TactError
from privacy.accounting import RELATION, Event, epsilon
from privacy.plan import NOT_ACCOUNTED, Inherited, Plan, calibrated

NAME = "ledger.json"
VERSION = 1


class Ledger:
    """The ledger of one run folder. ``charge`` before each release, ``close`` after each stage."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.path, self.content = folder / NAME, content

    @classmethod
    def begin(cls, folder: Path, wanted: Plan, *, key_known: bool) -> "Ledger":
        """The run's ledger; where there is none it is made, and the noise of ``wanted`` calibrated.

        TactError where there is one of another plan, or the budget can't be met.
        """
        if (folder / NAME).exists():
            found = cls.read(folder)
            if found.plan.bare != wanted.bare:
                raise TactError(
                    f"{NAME} is of another plan than this config's: restore the config, or begin "
                    "another run"
                )
            return found
        plan = calibrated(wanted)
        made = cls(folder, {
            "version": VERSION, "relation": RELATION, "plan": asdict(plan), "key_known": key_known,
            "charged": {e.stage: 0 for e in plan.events}, "weights_sha256": {},
            "not_accounted": list(NOT_ACCOUNTED),
        })  # fmt: skip
        made._write()
        return made

    @classmethod
    def read(cls, folder: Path) -> "Ledger":
        """A ledger that is there; TactError where it is missing, cut off or changed by hand."""
        content = files.read_json(folder / NAME)
        if content.get("version") != VERSION:
            raise TactError(f"{NAME}: version {content.get('version')}; this one reads {VERSION}")
        if content.pop("digest", None) != files.content_sha256(content):
            raise TactError(
                f"{NAME} of run={folder.name} is not as it was written (its digest differs): no "
                "epsilon can be told from it"
            )
        return cls(folder, content)

    @property
    def key_known(self) -> bool:
        """Whether the noise can be subtracted by whoever reads the config."""
        return bool(self.content["key_known"])

    @property
    def plan(self) -> Plan:
        """What the run has promised."""
        content = self.content["plan"]
        taken = tuple(
            Inherited(**{**each, "event": Event(**each["event"])})
            for each in content.get("inherited", ())
        )
        events = tuple(Event(**e) for e in content["events"])
        return Plan(**{**content, "events": events, "inherited": taken})

    @property
    def digest(self) -> str:
        """Hash of all that it holds."""
        return files.content_sha256(self.content)

    def charged(self) -> list[Event]:
        """What was charged to this run's own stages."""
        return [replace(e, steps=self.content["charged"][e.stage]) for e in self.plan.events]

    def events(self) -> list[Event]:
        """All that was charged: to its parents' stages, then to its own."""
        return [*self.plan.spent, *self.charged()]

    def bequest(self, run: str) -> list[Inherited]:
        """What a child of ``run`` inherits: its parents' stages, and its own that are closed."""
        closed = self.content["weights_sha256"]
        own = [Inherited(run, closed[e.stage], e) for e in self.charged() if e.stage in closed]
        return [*self.plan.inherited, *own]

    def epsilon(self, *, accountant: str = "pld") -> float:
        """ε of all that was charged, at the plan's δ."""
        return epsilon(self.events(), delta=self.plan.delta, accountant=accountant)

    def charge(self, stage: str, steps: int) -> None:
        """Have ``steps`` of ``stage`` charged, at least; on disk before this returns.

        TactError where some stage has more than the plan gave it, and this would pass its ε.
        """
        charged = self.content["charged"]
        if steps <= charged[stage]:
            return
        plan = self.plan
        before, charged[stage] = charged[stage], steps
        over = any(charged[e.stage] > e.steps for e in plan.events)
        if over and self.epsilon() > plan.epsilon:
            charged[stage] = before
            raise TactError(
                f"stage {stage}: another step would pass epsilon={plan.epsilon} (steps that were "
                "replayed differently are charged again): the run ends here"
            )
        self._write()

    def close(self, stage: str, weights_sha256: str) -> None:
        """Note whose weights the stage's charges are."""
        self.content["weights_sha256"][stage] = weights_sha256
        self._write()

    def _write(self) -> None:
        files.write_json(self.path, {**self.content, "digest": self.digest})
