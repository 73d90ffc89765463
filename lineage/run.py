"""The run folder: everything that a run needs to be resumed, attacked again or exported."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lineage import files, provenance
from lineage.difference import difference
from lineage.errors import InUse, TactError

RUNNING, DONE, INHERITED = "running", "done", "inherited"
PUSHED = "push.json"  # in the run folder: where its export went, and how far


@dataclass
class StageState:
    """One stage of a run, as the manifest lists it."""

    stage: str
    state: str
    trains: list[str]
    steps: int
    weights_sha256: str | None = None
    ended: str | None = None
    public: bool = False  # whether all people whom it read are declared public
    terms: dict[str, Any] | None = None  # of the source that it read; None: none were noted then


@dataclass
class Manifest:
    """What a run is made of. Never a key of a private mechanism."""

    version: int = 1
    created: str = ""
    revision: str = ""
    dirty: bool = False
    packages: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    data_fingerprint: str | None = None
    model: dict[str, dict[str, str]] | None = None  # what its pretrained weights are known by
    models_of_parts: list[dict[str, Any]] = field(default_factory=list)  # parents', as told of them
    parent: dict[str, Any] | None = None
    ledger_sha256: str | None = None  # of the ledger as the last private stage left it
    stages: list[StageState] = field(default_factory=list)
    finished: bool = False


class RunFolder:
    """``checkpoints/<run>/``; open it with ``RunFolder.open`` and hold ``lock()`` to write."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name

    @classmethod
    def open(cls, name: str, *, checkpoints: Path) -> "RunFolder":
        """The folder of that name, made if it isn't there; TactError on a name it can't have."""
        folder = cls(named(name, checkpoints))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.private.mkdir(mode=0o700, exist_ok=True)
        return folder

    @classmethod
    def existing(cls, name: str, *, checkpoints: Path) -> "RunFolder":
        """The folder of a run that was begun; TactError, with the runs there are, if none was."""
        folder = cls(named(name, checkpoints))
        if not (folder.path / "manifest.json").exists():
            there = sorted(p.parent.name for p in checkpoints.glob("*/manifest.json"))
            raise TactError(f"run={name}: no such run; there are: {', '.join(there) or 'none'}")
        return folder

    @property
    def private(self) -> Path:
        """For what is private: never exported."""
        return self.path / "private"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone; InUse where another process does. Dies with the process."""
        with (self.path / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise InUse(
                    f"run={self.name} is in use by process {file.read().strip() or '?'}: "
                    "wait for it, stop it, or choose another run="
                ) from None
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            files.remove_leftovers(self.path)
            yield

    def read(self) -> Manifest:
        """The manifest; a fresh one where the run has just begun."""
        path = self.path / "manifest.json"
        if not path.exists():
            revision, dirty = provenance.git_revision()
            return Manifest(
                created=now(), revision=revision, dirty=dirty, packages=provenance.packages()
            )
        raw = files.read_json(path)
        try:
            raw["stages"] = [StageState(**stage) for stage in raw["stages"]]
            return Manifest(**raw)
        except (TypeError, KeyError) as error:
            raise TactError(
                f"run={self.name}: manifest.json is not one that this version wrote ({error}); "
                "use the version that did, or choose another run="
            ) from None

    def write(self, manifest: Manifest) -> None:
        """Put the manifest in place, whole."""
        files.write_json(self.path / "manifest.json", asdict(manifest))

    def keep_config(
        self,
        text: str,
        *,
        ignore: tuple[str, ...] = (),
        stored: Callable[[Path], str] = Path.read_text,
    ) -> None:
        """Write the resolved config, or refuse one that differs from what the run began with.

        ``stored`` reads that, as the present version would write it.

        Keys that ``ignore`` names may differ (``lineage.difference`` says how it names them).
        """
        path = self.path / "config.yaml"
        if path.exists():
            changed = difference(stored(path), text, ignore=ignore)
            if changed:
                raise TactError(
                    f"run={self.name} began with another config:\n  "
                    + "\n  ".join(changed[:20])
                    + "\nRestore these, or choose another run= (parent= starts from this one)"
                )
        files.write_text(path, text)

    def pushed(self) -> list[str]:
        """The Hub repositories that exports of the run went to."""
        path = self.path / PUSHED
        state = files.read_json(path) if path.exists() else {}
        last = [state["to"]] if state.get("made") else []
        return list(dict.fromkeys([*state.get("before", ()), *last]))

    def stage_dir(self, stage: str) -> Path:
        """``stages/<n>-<stage>/``, n counting the stages of the manifest from 1."""
        names = [s.stage for s in self.read().stages]
        number = names.index(stage) + 1 if stage in names else len(names) + 1
        return self.path / "stages" / f"{number}-{stage}"

    def begin(
        self,
        stage: str,
        *,
        trains: list[str],
        steps: int,
        public: bool = False,
        terms: dict[str, Any] | None = None,
    ) -> Path:
        """Enter the stage into the manifest as running; returns its folder."""
        manifest = self.read()
        if stage not in [s.stage for s in manifest.stages]:
            state = StageState(stage, RUNNING, trains, steps, public=public, terms=terms)
            manifest.stages.append(state)
            self.write(manifest)
        folder = self.stage_dir(stage)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def count(self, stage: str, *, steps: int) -> None:
        """Note how many steps the stage takes, where its rows told it."""
        manifest = self.read()
        state = next(s for s in manifest.stages if s.stage == stage)
        if state.steps != steps:
            state.steps = steps
            self.write(manifest)

    def end(self, stage: str) -> None:
        """Mark the stage done, with its weights' hash."""
        manifest = self.read()
        state = next(s for s in manifest.stages if s.stage == stage)
        state.state, state.ended = DONE, now()
        state.weights_sha256 = files.sha256(self.weights(stage))
        self.write(manifest)

    def weights(self, stage: str) -> Path:
        """The stage's trained weights."""
        return self.stage_dir(stage) / "model.safetensors"

    def finished_stages(self) -> list[StageState]:
        """Stages whose weights are whole, in order; TactError where a hash doesn't match."""
        done = [s for s in self.read().stages if s.state in (DONE, INHERITED)]
        for state in done:
            path = self.weights(state.stage)
            if not path.exists() or files.sha256(path) != state.weights_sha256:
                raise TactError(
                    f"run={self.name}: the weights of stage {state.stage} are missing or not those "
                    f"that were saved; train it again (stages=[{state.stage}]) or restore the file"
                )
        return done

    def inherit(self, parent: "RunFolder", *, upto: str | None) -> None:
        """Take over the parent's finished stages, up to ``upto`` (all of them by default).

        Raises TactError where the parent has not got them whole. Done once: later it does nothing.
        """
        manifest = self.read()
        if manifest.stages:
            return
        kept = self.offered(parent, upto)
        manifest.parent = {"run": parent.name, "stage": kept[-1].stage,
                           "weights": kept[-1].weights_sha256}  # fmt: skip
        for number, state in enumerate(kept, start=1):
            folder = self.path / "stages" / f"{number}-{state.stage}"
            files.link_or_copy(parent.weights(state.stage), folder / "model.safetensors")
            state.state = INHERITED
        manifest.stages = kept
        self.write(manifest)

    def offered(self, parent: "RunFolder", upto: str | None) -> list[StageState]:
        """The parent's stages that a child starts from; TactError names what is missing."""
        if parent.path.resolve() == self.path.resolve():
            raise TactError(f"parent={parent.name} is the run itself: choose another run=")
        states, manifest = parent.finished_stages(), parent.read()
        names = [s.stage for s in states]
        if not names or (upto is not None and upto not in names):
            raise TactError(
                f"parent={parent.name}{'@' + upto if upto else ''}: that stage is not finished; "
                f"finished: {', '.join(names) or 'none'}. Run the parent again: it resumes"
            )
        if upto is None and not manifest.finished:
            raise TactError(
                f"parent={parent.name} has not finished. Run it again (it resumes), or name the "
                f"stage to start from: parent={parent.name}@{names[-1]}"
            )
        return states[: names.index(upto) + 1] if upto else states


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def named(name: str, checkpoints: Path) -> Path:
    """Where a run of that name lies; TactError on a name that it can't have."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise TactError(f"run={name!r}: use letters, digits, '.', '_' and '-' only")
    return checkpoints / name
