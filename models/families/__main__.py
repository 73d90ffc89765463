"""``python -m models.families show``: family by what is supported."""

import sys

from lineage.door import run_door, verb_and_words

HELP = """
python -m models.families show|write

  python -m models.families show     print which families there are and what each supports
  python -m models.families write    write that into docs/families.md
"""


def main(words: list[str]) -> None:
    """Print or write the page; raises TactError."""
    verb, _ = verb_and_words(words, ("show", "write"))
    from lineage import files
    from lineage.place import CHECKOUT
    from models.families import table

    if verb == "show":
        print(table.page(), end="")
    else:
        files.write_text(CHECKOUT / "docs" / "families.md", table.page())


if __name__ == "__main__":
    sys.exit(run_door(main, HELP))
