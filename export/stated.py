"""``privacy.json``: what was trained on whom, what bounds it, what attacks found, by its schema."""

import json
from importlib.resources import files as packaged
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from conf.schema import Config
from data.policy import Policy
from export import licences
from export.evidence import Evidence, headline
from lineage import files
from lineage.errors import TactError
from privacy.accounting import RELATION

NAME, SCHEMA = "privacy.json", "privacy.schema.json"
VERSION = 4


def stated(config: Config, policy: Policy, evidence: Evidence, *, folder: Path) -> dict[str, Any]:
    """What ``privacy.json`` holds of the export in ``folder``, which is whole but for this file.

    TactError where that is not what its schema says.
    """
    private = config.model.interface.kind == "private"
    content = {
        "$schema": SCHEMA,
        "version": VERSION,
        "run": config.run,
        "differential_privacy": evidence.ledger or _unbounded(config),
        "interface": {
            "kind": config.model.interface.kind,
            "bits_per_picture": config.model.interface.bits if private else None,
            "statement": "per picture; several pictures of one person tell more",
        },
        "policy": {
            "name": policy.name,
            "sensitive": policy.sensitive,
            "prohibited": policy.prohibited,
            "bounds": policy.bounds,
            "not_met": evidence.not_met,
        },
        "stages": [
            {"stage": s.stage, "weights_sha256": s.weights_sha256, "public_people": s.public}
            for s in evidence.manifest.stages
        ],
        "pretrained": licences.of_models(config, evidence.manifest),
        "data": {
            "source": config.data.source["_target_"],
            "fingerprint": evidence.manifest.data_fingerprint,
            "public_splits": list(config.data.public),
            "terms": licences.of_data(config, evidence.manifest),
        },
        "attacks": headline(evidence.report),
        "files": hashes(folder),
    }
    check(content)
    return content


def hashes(folder: Path) -> dict[str, str]:
    """Each file of an export but ``privacy.json`` → its SHA-256."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / NAME)
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in paths}


def schema() -> str:
    """The published schema, as it stands beside each ``privacy.json``."""
    return packaged("export").joinpath(SCHEMA).read_text(encoding="utf-8")


def check(content: dict[str, Any]) -> None:
    """TactError that names the first place where ``content`` is not what the schema says."""
    try:
        plain = json.loads(json.dumps(content, allow_nan=False))
    except ValueError as error:
        raise TactError(
            f"{NAME}: a figure is not finite ({error}); measure again, then export"
        ) from None
    errors = Draft202012Validator(json.loads(schema())).iter_errors(plain)
    first = min(errors, key=lambda e: [str(p) for p in e.absolute_path], default=None)
    if first is not None:
        where = ".".join(map(str, first.absolute_path)) or "the whole"
        raise TactError(
            f"{NAME} is not what version {VERSION} of its schema says: {where}: "
            f"{first.message[:200]}. Export the run again with the version that trained it"
        )


def _unbounded(config: Config) -> dict[str, Any]:
    return {
        "epsilon": None,
        "delta": None,
        "unit": config.privacy.unit,
        "relation": RELATION,
        "events": [],
        "not_accounted": ["everything: no noise was added and no gradient was clipped by unit"],
        "statement": "trained without differential privacy: no bound (epsilon is infinite)",
    }
