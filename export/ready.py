"""Whether an export may leave this machine: whole, of the run's own weights, and clean still."""

from pathlib import Path

from conf import compose
from export import clean, stated
from lineage import exclusion, files
from lineage.errors import TactError
from lineage.run import RunFolder


def ready(run: RunFolder, *, cache: str | None = None) -> Path:
    """The run's ``export/``. TactError where it is missing, of other weights, or was changed.

    TactError too where somebody was excluded whom the run was trained on.
    """
    exclusion.check(run, goes_on="push")
    folder = run.path / "export"
    again = f"export again: python -m export run={run.name}"
    if not (folder / stated.NAME).exists():
        raise TactError(f"run={run.name} has no export; first: python -m export run={run.name}")
    content = files.read_json(folder / stated.NAME)
    stated.check(content)
    own = [s.weights_sha256 for s in run.finished_stages()]
    if [s["weights_sha256"] for s in content["stages"]] != own:
        raise TactError(f"run={run.name}: its export is of other weights than its own; {again}")
    if stated.hashes(folder) != content["files"]:
        raise TactError(f"run={run.name}: a file of its export was changed or is missing; {again}")
    config = compose.from_yaml(run.path / "config.yaml")
    config.cache = cache or config.cache
    clean.check(folder, places=clean.places(run, config), rows=clean.Rows.of(config))
    return folder
