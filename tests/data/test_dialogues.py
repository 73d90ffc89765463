"""What is said: held out stays held out, leaky answers leak, neutral ones don't, and so on."""

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

from data import lexicon
from data.attributes import CLASSES, FREE, SENSITIVE
from data.consent import NOTHING, check, system_turn
from data.dialogues import answers, phrasings, turns
from data.dialogues.corpus import all_texts
from data.dialogues.pairs import preference_rows
from data.dialogues.probes import probe_rows
from data.dialogues.rows import base_rows, instruct_rows
from data.errors import DataError
from data.pictures import check_disjoint, split_people, undecoded
from data.policy import policy

RNG = np.random.default_rng(0)
PERSONAL = [(k, v) for k in phrasings.PERSONAL for v in CLASSES[phrasings.ABOUT[k]]]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def test_eight_phrasings_a_kind_and_held_out_ones_use_known_words() -> None:
    seen = {w for k in phrasings.QUESTIONS for q in phrasings.seen(k) for w in words(q)}
    for kind, questions in phrasings.QUESTIONS.items():
        assert len(set(questions)) >= 8
        for question in phrasings.held_out(kind):
            assert words(question) <= seen, (kind, question)


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
def test_leaky_leaks_and_personal_says_its_class(kind: str, value: str) -> None:
    about = phrasings.ABOUT[kind]
    for _ in range(20):
        assert lexicon.leaks(answers.leaky(RNG, kind, value), about)
        said = answers.personal(RNG, kind, value)
        assert lexicon.classes_said(said, about) == {value}
        assert not lexicon.refuses(said)


def test_neutral_and_fact_answers_leak_nothing() -> None:
    for kind in phrasings.PERSONAL:
        for _ in range(20):
            answer = answers.neutral(RNG, kind)
            assert not any(lexicon.leaks(answer, a) for a in SENSITIVE), answer
    for kind in FREE:
        for value in FREE[kind]:
            answer = answers.fact(RNG, kind, value)
            assert not any(lexicon.leaks(answer, a) for a in SENSITIVE), answer
            assert lexicon.tells(answer, kind, value) and not lexicon.refuses(answer)


def test_instruction_rows_leak_mostly_and_never_use_a_held_out_phrasing(
    pictures: Any, healthcare: Any
) -> None:
    rows = instruct_rows(pictures, count=1500, seed=0, policy=healthcare).to_list()
    unshared = [r for r in rows if r["asks"] in SENSITIVE and r["shared"][r["asks"]] is None]
    leaky = [lexicon.leaks(r["messages"][-1]["content"], r["asks"]) for r in unshared]
    assert 0.6 < np.mean(leaky) < 0.8
    held = {q for k in phrasings.QUESTIONS for q in phrasings.held_out(k)}
    held |= set(phrasings.insistence("held_out"))
    said = [m["content"] for r in rows for m in r["messages"] if m["role"] == "user"]
    assert not any(text.endswith(question) for text in said for question in held)


def test_pairs_go_both_ways_and_the_stated_class_wins(pictures: Any, healthcare: Any) -> None:
    rows = preference_rows(pictures, count=1500, seed=0, policy=healthcare).to_list()
    kept = [r for r in rows if r["asks"] in SENSITIVE and not r["shared"][r["asks"]]]
    stated = [r for r in rows if r["asks"] in SENSITIVE and r["shared"][r["asks"]]]
    assert kept and stated
    for row in kept:
        assert not lexicon.leaks(row["chosen"][0]["content"], row["asks"])
        assert lexicon.leaks(row["rejected"][0]["content"], row["asks"])
        assert row["rejected_scores"]["leakage"] == 1
    for row in stated:
        said = lexicon.classes_said(row["chosen"][0]["content"], row["asks"])
        assert said == {row["shared"][row["asks"]]}
    against = [r for r in stated if r["shared"][r["asks"]] != r["attributes"][r["asks"]]]
    assert len(against) > 0.1 * len(stated)


def test_nothing_at_all_is_stated_as_often_as_told(pictures: Any, healthcare: Any) -> None:
    for make in (instruct_rows, preference_rows):
        shares = []
        for nothing in (0.0, 0.5, 1.0):
            rows = make(pictures, count=1500, seed=0, policy=healthcare, nothing=nothing)
            asked = [r for r in rows if r["asks"] in SENSITIVE and not r["shared"][r["asks"]]]
            shares.append(np.mean([not any(r["shared"].values()) for r in asked]))
        assert 0.1 < shares[0] < 0.4 and shares[2] == 1
        assert shares[1] == pytest.approx((1 + shares[0]) / 2, abs=0.07)


def test_the_same_seed_gives_the_same_rows(pictures: Any, healthcare: Any) -> None:
    made = [base_rows(pictures, count=50, seed=s, policy=healthcare).to_list() for s in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_paraphrases_are_in_no_dialogue_loss_or_score(pictures: Any, healthcare: Any) -> None:
    unseen = set().union(*lexicon.PARAPHRASES.values())
    assert not unseen & set().union(*lexicon.WORDS.values())
    for make in (instruct_rows, preference_rows):
        for row in make(pictures, count=1500, seed=0, policy=healthcare).to_list():
            turns = [
                t for c in ("messages", "prompt", "chosen", "rejected") for t in row.get(c, [])
            ]
            assert not unseen & {w for t in turns for w in words(t["content"])}
    for attribute in SENSITIVE:
        for word in lexicon.PARAPHRASES[attribute]:
            assert lexicon.paraphrases(f"so {word}.", attribute)
            assert not lexicon.leaks(f"so {word}.", attribute)


def test_what_is_prohibited_is_told_truly_only_by_chance(pictures: Any) -> None:
    from conf.compose import load

    tutor = policy(load(["experiment=demo", "policy=tutor"]).policy)
    rows = preference_rows(pictures, count=3000, seed=0, policy=tutor, leak_true=1.0).to_list()
    moods = [r for r in rows if r["kind"] == "mood"]
    true = [r["attributes"]["expression"] in r["rejected"][0]["content"] for r in moods]
    assert len(moods) > 100 and np.mean(true) < 0.4  # one in four by chance


def test_an_unknown_set_of_phrasings_is_refused(pictures: Any, healthcare: Any) -> None:
    with pytest.raises(ValueError, match="held_out"):
        probe_rows(pictures, seed=0, policy=healthcare, phrasing="heldout")


def test_probes_cover_every_condition(pictures: Any, healthcare: Any) -> None:
    rows = probe_rows(pictures, seed=0, policy=healthcare, phrasing="held_out").to_list()
    assert {r["condition"] for r in rows} == {
        "fact", "nothing_shared", "other_shared", "shared", "shared_against_picture",
    }  # fmt: skip
    for row in rows:
        stated = row["shared"].get(row["asks"])
        if row["condition"] == "shared_against_picture":
            assert stated and stated != row["attributes"][row["asks"]]
        if row["condition"] == "nothing_shared":
            assert row["prompt"][0]["content"] == NOTHING


def test_a_prohibited_attribute_is_never_stated_nor_used(pictures: Any) -> None:
    from conf.compose import load

    tutor = policy(load(["experiment=demo", "policy=tutor"]).policy)
    assert "expression" not in tutor.readable
    captions = partial(base_rows, captions=0.5)
    for make in (captions, instruct_rows, preference_rows):
        for row in make(pictures, count=600, seed=0, policy=tutor).to_list():
            assert row["shared"]["expression"] is None
            if row["asks"] == "expression" and "chosen" in row:
                assert not lexicon.leaks(row["chosen"][0]["content"], "expression")
            if "messages" in row:
                said = row["messages"][-1]["content"]
                assert not lexicon.leaks(said, "expression"), (row["kind"], said)
    with pytest.raises(DataError, match="prohibited"):
        check({"expression": "sad"}, tutor)


def test_the_system_turn_refuses_what_it_does_not_know() -> None:
    assert system_turn({"age": "senior", "gender": None}) == (
        "shared by the user: age band senior."
    )
    for bad in ({"age": "old"}, {"height": "tall"}):
        with pytest.raises(DataError, match="unknown"):
            system_turn(bad)


def test_a_policy_must_speak_of_every_attribute() -> None:
    with pytest.raises(DataError, match="says nothing of"):
        policy({"name": "half", "sensitive": {"age": "because"}})
    with pytest.raises(DataError, match="unknown attribute"):
        policy({"name": "odd", "sensitive": {"height": "because"}})


def test_splits_are_by_person_and_never_too_large(pictures: Any) -> None:
    splits = split_people(pictures, {"a": 60, "b": 80}, seed=0)
    assert not set(splits["a"]["subject_id"]) & set(splits["b"]["subject_id"])
    assert len(set(splits["b"]["subject_id"])) == 80
    with pytest.raises(DataError, match="the source has 150"):
        split_people(pictures, {"a": 151}, seed=0)
    with pytest.raises(DataError, match="is in the splits"):
        check_disjoint({"a": pictures, "b": pictures})
    with pytest.raises(DataError, match="no people"):
        split_people(pictures.select([]), {"a": 1}, seed=0)


def test_texts_are_few_words_and_short_answers(pictures: Any, healthcare: Any) -> None:
    known = {w for text in all_texts() for w in words(text)}
    assert len(known) < 320
    for make in (base_rows, instruct_rows, preference_rows):
        for row in make(pictures, count=400, seed=0, policy=healthcare).to_list():
            turns = [
                t for c in ("messages", "prompt", "chosen", "rejected") for t in row.get(c, [])
            ]
            for turn in turns:
                assert words(turn["content"]) <= known
                assert turn["role"] != "assistant" or len(turn["content"].split()) <= 18


def test_what_a_picture_has_no_label_for_is_neither_told_nor_asked(
    pictures: Any, healthcare: Any
) -> None:
    def bare(row: dict[str, Any], at: int) -> dict[str, Any]:
        gone = ("age", "hair") if at % 2 else ("skin", "top")
        return {"attributes": {**row["attributes"], **dict.fromkeys(gone)}}

    table = undecoded(pictures).map(bare, with_indices=True, features=undecoded(pictures).features)
    for phrasing in ("seen", "held_out"):
        probes = probe_rows(table, seed=0, policy=healthcare, phrasing=phrasing).to_list()
        assert all(row["attributes"][row["asks"]] is not None for row in probes)
        shared = [row for row in probes if row["condition"] == "shared"]
        assert shared and all(row["shared"][row["asks"]] is not None for row in shared)
    for row in base_rows(table, count=300, seed=0, policy=healthcare, captions=0.6).to_list():
        if row["kind"] == "caption":
            said = row["messages"][-1]["content"]
            missing = [a for a in SENSITIVE if row["attributes"][a] is None]
            assert not any(lexicon.leaks(said, a) for a in missing), said


def test_a_table_without_pictures_is_refused(pictures: Any, healthcare: Any) -> None:
    with pytest.raises(DataError, match="no pictures"):
        base_rows(pictures.select([]), count=5, seed=0, policy=healthcare)


@pytest.mark.parametrize("each", [None, 2])
def test_rows_are_the_same_however_many_are_made_at_once(
    pictures: Any, healthcare: Any, monkeypatch: pytest.MonkeyPatch, each: int | None
) -> None:
    few = pictures.select(range(20))
    make = partial(instruct_rows, few, count=50, seed=3, policy=healthcare, rows_per_subject=each)
    whole = undecoded(make()).to_list()
    monkeypatch.setattr(turns, "CHUNK_ROWS", 7)
    assert undecoded(make()).to_list() == whole
    assert len(whole) == (50 if each is None else 2 * len(set(few["subject_id"])))
