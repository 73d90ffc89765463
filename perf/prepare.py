"""``python -m perf.prepare``: the process that ``perf.rows`` watches while it prepares rows."""

import hashlib
import json
import sys
import time
from pathlib import Path

from datasets import disable_progress_bars

from conf.compose import load
from data.policy import policy
from data.prepared import cache_folder, prepared
from data.preparing import FOLDER, encoded_set
from lineage import door
from models import configured
from perf.rows import READY
from train.rows import stage_rows

OWN = {"_target_": "data.sources.own_rows"}


def main(words: list[str]) -> int:
    """Prepare a stage's rows as training does, of the conversations in ``folder``."""
    given = door.options(words, ["folder", "cache"])
    folder, cache = Path(given["folder"]), Path(given["cache"])
    people = json.loads((folder / "people.json").read_text())
    split = f"{{private: {people['private']}, validation: 0, test: {people['test']}, attack: 0}}"
    config = load(
        ["experiment=photos", "model=tiny", "data=conversations", f"data.people={split}",
         f"data.source.path={folder / 'rows.jsonl'}", f"cache={cache}", f"checkpoints={cache}"],
        check=False,
    )  # fmt: skip
    disable_progress_bars()
    rule = policy(config.policy)
    encoder = configured.model(config.model, rule, seed=0).parts.encoder
    print(READY, flush=True)
    started, own = time.perf_counter(), time.process_time()
    rows = stage_rows(OWN, prepared(config)["private"], seed=0, policy=rule)
    found = encoded_set(
        rows, encoder, max_length=config.data.max_length_tokens, max_rejects=0.0,
        rejects=cache / "rejects.jsonl", cache=cache_folder(config),
    )  # fmt: skip
    told = {
        "rows": len(found.rows), "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - own,
        "longest_tokens": found.longest, "pictures": len(found.pictures),
        "sha256": _digest(cache_folder(config) / FOLDER),
    }  # fmt: skip
    print(json.dumps(told), flush=True)
    return 0


def _digest(folder: Path) -> str:
    """Hash of all that was prepared."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.arrow")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
