"""Each test that the page on privacy names is there."""

import re

from lineage.place import CHECKOUT


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (CHECKOUT / "docs" / "privacy.md").read_text()))
    files = [*CHECKOUT.glob("tests/privacy/*.py"), *CHECKOUT.glob("tests/train/*.py")]
    text = "\n".join(file.read_text() for file in files)
    there = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    assert named and named <= there
