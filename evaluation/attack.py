"""One attack: all attackers fitted, the best chosen on people held back, tried on the test's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.attackers import Attacker, Guess
from evaluation.measure import Measure
from evaluation.scores import Floats, auc, auc_interval
from evaluation.sides import Side, parted

CHOSEN_ON = "people of the attacker's held back"


@dataclass(frozen=True)
class Attacked:
    """What each attacker guesses of the test people, and which one was chosen by attribute."""

    guesses: Mapping[str, Guess]  # attacker → attribute → (n, C)
    chosen: Mapping[str, str]  # attribute → attacker
    people: int  # whom the attackers were fitted on

    def best(self, attribute: str) -> Floats:
        """The chosen attacker's guess, (n, C)."""
        return self.guesses[self.chosen[attribute]][attribute]


def attack(
    attackers: Sequence[Attacker],
    own: Side,
    test: Side,
    *,
    classes: Mapping[str, int],
    seed: int,
) -> Attacked:
    """Fit on most of ``own``, choose on the rest, guess ``test``."""
    fit, held = parted(own, seed=seed)
    guesses: dict[str, Guess] = {}
    held_areas: dict[str, dict[str, float]] = {name: {} for name in classes}
    for attacker in attackers:
        guess = attacker.fit(fit.read, fit.labels, held.read, held.labels, classes, seed)
        on_held = guess(held.read)
        for name in classes:
            known = held.known(name)
            held_areas[name][attacker.name] = auc(held.labels[name][known], on_held[name][known])
        guesses[attacker.name] = guess(test.read)
    chosen = {name: max(areas, key=lambda a: areas[a]) for name, areas in held_areas.items()}
    return Attacked(guesses, chosen, own.count)


def area(
    attacked: Attacked, attribute: str, test: Side, *, attacker: str | None = None
) -> tuple[float, float, float]:
    """Area and interval of one attacker, or of the chosen one."""
    guess = attacked.guesses[attacker or attacked.chosen[attribute]][attribute]
    known = test.known(attribute)
    people = [who for who, is_known in zip(test.people, known, strict=True) if is_known]
    return auc_interval(test.labels[attribute][known], guess[known], people)


def measures(
    attacked: Attacked,
    test: Side,
    *,
    suite: str,
    name: str,
    stage: str,
    seed: int,
    each: bool = True,
) -> list[Measure]:
    """The chosen attacker of every attribute; with ``each``, every attacker too."""
    made = []
    for attribute, chosen in attacked.chosen.items():
        people = test.count_knowing(attribute)
        note = f"fitted on {attacked.people} people"
        tried = list(attacked.guesses) if each else [chosen]
        areas = {who: area(attacked, attribute, test, attacker=who) for who in tried}
        lines = [(who, None) for who in tried if each] + [(chosen, CHOSEN_ON)]
        for who, chosen_on in lines:
            value, low, high = areas[who]
            made.append(
                Measure(suite, name, attribute, value, low, high, people, "person", attacker=who,
                        chosen_on=chosen_on, stage=stage, seed=seed, note=note)
            )  # fmt: skip
    return made
