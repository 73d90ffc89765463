"""The export of a finished run, written whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conf import compose, rules
from conf.schema import Config
from data.policy import Policy, policy
from export import adapter, card, clean, halves, picture, stated
from export.evidence import Evidence, evidence
from export.usage import Base
from lineage import exclusion, files
from lineage.errors import TactError
from lineage.run import RunFolder
from models import configured
from models.vlm import VLM


def export(run: RunFolder, *, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write ``export/`` of the run; ``wanted`` stands over the config's ``export`` and ``cache``.

    TactError where the run isn't finished, its papers aren't its own, a bound of its policy isn't
    met, or a file would hold what is nobody's business.
    """
    exclusion.check(run, goes_on="export")
    config = _config(run, wanted or {})
    rule = policy(config.policy)
    papers = evidence(config, run, rule)
    base = None
    if config.export.form == "adapter":
        base = adapter.base_of(config, papers.manifest)
    rows = clean.Rows.of(config)
    with _replaced(run) as part:
        model = configured.finished(config, run, rule)
        px = model.parts.encoder.picture_px
        _model(part, model, config, run, rule, base=base)
        _papers(part, config, rule, papers, picture_px=px, base=base)
        clean.check(part, places=clean.places(run, config), rows=rows)
    return {"run": run.name, "export": str(run.path / "export"), "not_met": papers.not_met}


def _config(run: RunFolder, wanted: Mapping[str, Any]) -> Config:
    config = compose.from_yaml(run.path / "config.yaml")
    for key, value in wanted.items():
        setattr(config if key == "cache" else config.export, key, value)
    if problems := list(rules.export_problems(config)):
        raise TactError(problems[0])
    return config


def _model(
    folder: Path,
    model: VLM,
    config: Config,
    run: RunFolder,
    rule: Policy,
    *,
    base: Base | None,
) -> None:
    """The weights, in the form and type that are asked for."""
    dtype = config.export.dtype
    if base is not None:
        begun = configured.begun(config, run, rule)
        adapter.write(model, config, run, folder / "adapter", begun=begun, base=base)
    elif config.model.interface.kind == "open":
        halves.write_open(model, folder / "model", dtype=dtype)
    else:
        first = halves.write_server(model, folder / "server", dtype=dtype)
        halves.write_device(model, folder / "device", first_word=first, policy=rule)


def _papers(
    folder: Path,
    config: Config,
    rule: Policy,
    papers: Evidence,
    *,
    picture_px: int | None,
    base: Base | None,
) -> None:
    """Card, picture, ``privacy.json`` and its schema."""
    drawn = picture.draw(papers.report, papers.earlier, folder / clean.PICTURE)
    template = any(folder.rglob("chat_template.jinja"))
    text = card.card(
        config, rule, papers, picture_px=picture_px, template=template, base=base, drawn=drawn
    )
    files.write_text(folder / "README.md", text)
    files.write_text(folder / stated.SCHEMA, stated.schema())
    content = stated.stated(config, rule, papers, folder=folder)
    files.write_json(folder / stated.NAME, content)


@contextmanager
def _replaced(run: RunFolder) -> Iterator[Path]:
    """A folder that takes the place of ``export/`` once all within went well."""
    part, old = (run.path / f".export.{os.getpid()}.{end}" for end in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        target = run.path / "export"
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
        shutil.rmtree(old, ignore_errors=True)
