"""Every text that dialogues are made of, for a tokenizer of their words."""

import numpy as np

from data.attributes import CLASSES, FREE, SENSITIVE
from data.consent import NOTHING, system_turn
from data.dialogues import answers, paraphrases, phrasings


def all_texts() -> list[str]:
    """Questions, answers and system turns, each at least once, in a fixed order."""
    rng = np.random.default_rng(0)
    texts = [NOTHING, *phrasings.INSISTENCE, *phrasings.READBACK, *phrasings.CAPTION]
    texts += [f"{p} {q}" for p in phrasings.PREFIXES for q in phrasings.READBACK]
    texts += [question for group in phrasings.QUESTIONS.values() for question in group]
    texts += [system_turn({n: c}) for n, classes in SENSITIVE.items() for c in classes]
    texts += [answers.readback(rng, {n: c}) for n, classes in SENSITIVE.items() for c in classes]
    for kind in FREE:
        texts += [answers.fact(rng, kind, c) for c in FREE[kind] for _ in range(12)]
    for kind in phrasings.PERSONAL:
        texts += [answers.neutral(rng, kind) for _ in range(20)]
        for value in CLASSES[phrasings.ABOUT[kind]]:
            texts += [answers.leaky(rng, kind, value) for _ in range(20)]
            texts += [answers.personal(rng, kind, value) for _ in range(20)]
    for words in (paraphrases.SYNONYMS, paraphrases.UNSEEN_HINTS):
        texts += [" ".join(some) for classes in words.values() for some in classes.values()]
    return texts
