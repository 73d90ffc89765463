"""The export of a finished run, written whole or not at all."""

import os
import shutil
from pathlib import Path
from typing import Any

from conf import compose, rules
from data.policy import policy
from export import card, halves
from lineage import exclusion, files
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured
from privacy import verify


def export(run: RunFolder) -> dict[str, Any]:
    """Write ``export/`` of the run; TactError where the run isn't finished."""
    exclusion.check(run, goes_on="export")
    config = compose.from_yaml(run.path / "config.yaml")
    stages = run.finished_stages()
    done = [s.stage for s in stages]
    missing = [name for name in rules.stage_names(config) if name not in done]
    if missing or not stages:
        raise TactError(
            f"run={run.name} never finished: {', '.join(missing) or 'all stages'} missing. Run the "
            f"same command again (it resumes), then export"
        )
    rule = policy(config.policy)
    model = configured.finished(config, run, rule)
    part = run.path / f".export.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        if config.model.interface.kind == "open":
            halves.write_open(model, part / "model")
        else:
            first = halves.write_server(model, part / "server")
            halves.write_device(model, part / "device", first_word=first, policy=rule)
        _papers(part, config, run, picture_px=model.parts.encoder.picture_px)
        target, old = run.path / "export", run.path / f".export.{os.getpid()}.old"
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    except OSError as error:
        if error.errno in files.FULL:
            raise files.DiskFull(
                f"no space left to export run={run.name}; the run is whole. Free space and "
                "export again"
            ) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(run.path / f".export.{os.getpid()}.old", ignore_errors=True)
    return {"run": run.name, "export": str(target)}


def _papers(folder: Path, config: Any, run: RunFolder, *, picture_px: int | None) -> None:
    manifest, rule = run.read(), policy(config.policy)
    last = manifest.stages[-1].stage
    found = sorted((run.path / "report").glob(f"*-{last}/report.json"))
    report = files.read_json(found[-1]) if found else None
    if report and report["weights_sha256"] != [s.weights_sha256 for s in run.finished_stages()]:
        raise TactError(
            f"run={run.name}: its report is of other weights than its own; measure again, then "
            f"export: python -m evaluation run={run.name} again=true"
        )
    ledger = _ledger(config, run)
    spent = ledger["statement"] if ledger else None
    text = card.card(config, manifest, rule, report, picture_px=picture_px, spent=spent)
    files.write_text(folder / "README.md", text)
    stated = card.privacy(config, manifest, rule, report, ledger=ledger)
    files.write_json(folder / "privacy.json", stated)


def _ledger(config: Any, run: RunFolder) -> dict[str, Any] | None:
    """What the ledger states; None without DP. TactError where it holds for nobody."""
    if config.privacy.epsilon is None:
        return None
    return verify.stated(config, run)
