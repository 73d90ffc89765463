"""The code that jobs run: a copy of the checkout as it was when they were submitted.

So one may edit the checkout while jobs wait.
"""

import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from lineage import files, provenance
from lineage.errors import TactError
from lineage.place import CHECKOUT

FOLDER, CHANGES = "code", "changes.diff"


@dataclass(frozen=True)
class Revision:
    """The commit, and whether tracked files differ from it."""

    revision: str
    dirty: bool


def revision(*, dirty: bool) -> Revision:
    """That of the checkout; TactError where it isn't known, or has changes without ``dirty``."""
    commit, changed = provenance.git_revision()
    if not commit:
        raise TactError(
            "the checkout is no git repository, so nobody could tell later what a job ran: clone it"
        )
    if changed and not dirty:
        raise TactError(
            "the checkout has changes that are not committed: commit them, or give dirty=true to "
            f"submit them as they are ({CHANGES} keeps the difference)"
        )
    return Revision(commit, changed)


def keep(folder: Path, found: Revision) -> Path:
    """Copy the checkout into ``folder``, its difference from the commit beside it.

    What git ignores stays behind: run folders, caches, the environment.
    """
    code = folder / FOLDER
    shutil.rmtree(code, ignore_errors=True)
    names = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0")
    for name in sorted({n.decode() for n in names if n}):
        if (CHECKOUT / name).is_file():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, code / name)
    files.write_json(code / provenance.KEPT, asdict(found))
    files.write_bytes(folder / CHANGES, _git("diff", "--binary", "HEAD"))
    return code


def _git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", CHECKOUT, *words], capture_output=True, check=True).stdout
