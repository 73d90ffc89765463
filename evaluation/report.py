"""The report of a run after one of its stages: measures and examples, as JSON and as a page.

It is made suite by suite, and each finished suite is kept in ``parts/``, so that a report that
died half-way goes on. What was measured of other weights or another config is never taken up again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from datasets import disable_progress_bars

from conf import compose
from evaluation import findings, page, stored
from evaluation.measure import Measure
from evaluation.suites import Suites
from lineage import files, provenance
from lineage.errors import TactError
from lineage.run import RunFolder, StageState
from privacy import verify

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
    folder, key = stored.folder(run, stages), stored.key(config, stages)
    there = folder / "report.json"
    if there.exists() and not again:
        content: Content = files.read_json(there)
        if content.get("key") == key:
            return content
    disable_progress_bars()
    torch.set_num_threads(config.trainer.threads)
    torch.set_flush_denormal(True)
    content = _content(Suites(config, run, stages, fresh=again), key)
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


def _content(suites: Suites, key: str) -> Content:
    """All of ``report.json``."""
    config, wanted = suites.config, suites.config.report
    found: list[Measure] = []
    shown: Content = {"warnings": [], "examples": []}
    if wanted.behaviour:
        part = suites.part("behaviour", suites.behaviour)
        shown = {"warnings": part["warnings"], "examples": part["examples"]}
        found += _measures(part) + suites.controls()
    for name, suite, chosen in (
        ("text", suites.text, wanted.text and "attack" in suites.roles()),
        ("flips", suites.flips, wanted.flips and config.data.counterfactuals),
        ("interface", suites.interface, wanted.interface and "attack" in suites.roles()),
    ):
        if chosen:
            found += _measures(suites.part(name, suite))
    interface_ = asdict(config.model.interface)
    said = findings.findings(
        found, interface=interface_, bounds=suites.rule.bounds,
        collapsed=bool(shown["warnings"]), spent=verify.sentence(config, suites.run),
    )  # fmt: skip
    revision, dirty = provenance.git_revision()
    content = {
        "version": stored.VERSION,
        "key": key,
        "run": suites.run.name,
        **suites.common,
        "weights_sha256": [s.weights_sha256 for s in suites.stages],
        "config_sha256": compose.fingerprint(config),
        "data_fingerprint": suites.run.read().data_fingerprint,
        "revision": revision + ("-dirty" if dirty else ""),
        "interface": interface_,
        "policy": suites.rule.name,
        "bounds": suites.rule.bounds,
        **shown,
        "findings": [f.record() for f in said],
        "measures": [m.record() for m in found],
    }
    return {**content, "digest": files.content_sha256(content)}


def _measures(part: Mapping[str, Any]) -> list[Measure]:
    return [Measure(**record) for record in part["measures"]]
