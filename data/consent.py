"""What a user agreed to share, stated in words: one function renders it, for all uses.

Training, evaluation and the assistant put the same system turn before a conversation. The
picture's tokens never carry what is stated here.
"""

from collections.abc import Mapping

from data.attributes import SENSITIVE
from data.errors import DataError
from data.policy import Policy

NAMES = {"gender": "gender", "age": "age band", "skin": "skin tone", "expression": "mood"}
NOTHING = "nothing shared by the user."


def system_turn(shared: Mapping[str, str | None]) -> str:
    """The system turn's text, in the mapping's order; DataError on an unknown attribute or class.

    >>> system_turn({"age": "senior"})
    'shared by the user: age band senior.'
    """
    stated = [(name, value) for name, value in shared.items() if value is not None]
    for name, value in stated:
        if name not in SENSITIVE or value not in SENSITIVE[name]:
            known = {k: list(v) for k, v in SENSITIVE.items()}
            raise DataError(f"shared: {name}={value} is unknown; known: {known}")
    if not stated:
        return NOTHING
    return "shared by the user: " + ", ".join(f"{NAMES[n]} {v}" for n, v in stated) + "."


def check(shared: Mapping[str, str | None], policy: Policy) -> None:
    """DataError where a stated attribute is one that the policy prohibits."""
    for name, value in shared.items():
        if value is not None and name in policy.prohibited:
            raise DataError(
                f"shared: {name} is prohibited under policy={policy.name} "
                f"({policy.prohibited[name]}): leave it out of shared, or choose a policy that "
                "allows it"
            )
