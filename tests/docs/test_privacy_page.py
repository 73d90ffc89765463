"""The page on privacy: each pitfall and rule stands there with tests that exist."""

import re

from lineage.place import CHECKOUT

PAGE = (CHECKOUT / "docs" / "privacy.md").read_text()
PLANTED = (
    "no_noise", "no_clipping", "clip_each_row", "batch_as_denominator", "fixed_size",
    "same_noise_each_step", "same_noise_each_run", "accountant_reset",
)  # fmt: skip
IN_RUNS = ("test_adversary_unclipped_is_caught", "test_key_in_manifest_is_caught")
PITFALLS = (  # JAX Privacy's page, in its order, in our words
    "division", "sensitivity", "sampler", "public and private", "neighbouring", "empty",
    "accumulation", "across rows", "auxiliary", "randomness", "floating-point", "rounding",
)  # fmt: skip


def defined(*folders: str) -> str:
    files = [f for folder in folders for f in (CHECKOUT / "tests" / folder).glob("*.py")]
    return "\n".join(file.read_text() for file in files)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins so."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = set(re.findall(r"^def (test_\w+)", defined("privacy", "train"), re.MULTILINE))
    assert named and named <= there


def test_each_pitfall_and_each_rule_has_a_test() -> None:
    ways = rows("way")
    for pitfall, way in zip(PITFALLS, ways, strict=False):
        assert pitfall in way[0]
    numbered = rows("rule")
    assert [int(rule[0].split(".")[0]) for rule in numbered] == list(range(1, 11))
    assert all("`test_" in row[-1] for row in [*ways, *numbered])


def test_each_bug_is_planted() -> None:
    code = defined("privacy", "train")
    for bug in PLANTED:
        assert re.search(rf"^    \({bug}, \w+\),$", code, re.MULTILINE) and f"`{bug}`" in PAGE
    assert all(f"def {test}(" in code and f"`{test}`" in PAGE for test in IN_RUNS)
