"""Pages of documentation as what can be run of them: commands, and the files that these need."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from lineage.place import CHECKOUT

FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ALL = (
    "README.md", "docs/own_data.md", "docs/own_model.md", "docs/own_loss_or_stage.md",
    "docs/on_policy.md", "docs/privacy.md", "docs/cluster.md", "docs/reading_the_report.md",
    "docs/export.md", "docs/results/README.md",
)  # fmt: skip

NOT_RUN = {
    "make claims": "hours, and an environment of its own",
    "python -m evaluation claims only=portraits seeds=[0]": "ten minutes; its parts have tests",
    "python -m export push run=first to=ME/first": "a Hub and a token; tests have one",
    "python -m export push run=first to=ME/first public=true": "likewise",
    "python -m pytest tests/models -k llava": "these tests are run as they are",
}


@dataclass(frozen=True)
class Page:
    """One page; of the README its *Use*, since `make` has the rest."""

    name: str

    @property
    def text(self) -> str:
        """All that is looked at."""
        text = (CHECKOUT / self.name).read_text()
        if self.name != "README.md":
            return text
        return text.partition("\n## Use\n")[2].partition("\n## ")[0]

    @property
    def files(self) -> dict[str, str]:
        """Name → text of the blocks that are files: those with a name behind their language."""
        return {name: text for _, name, text in FENCE.findall(self.text) if name}

    @property
    def commands(self) -> list[str]:
        """The lines of all bash blocks, in order, continued ones made one, comments left out."""
        shell = [text for kind, _, text in FENCE.findall(self.text) if kind == "bash"]
        lines = "".join(shell).replace("\\\n", "").splitlines()
        bare = (re.sub(r"(^|\s+)#.*", "", line) for line in lines)
        return [line for line in bare if line.strip()]

    def write_files(self, folder: Path) -> None:
        """Lay the page's files into ``folder``."""
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def words(command: str, *, mine: Path) -> list[str]:
    """A command's words, as a shell gives them, without its environment."""
    given = shlex.split(command.replace("$MINE", str(mine)))
    while given and re.match(r"[A-Z]+=", given[0]):
        given = given[1:]
    return given
