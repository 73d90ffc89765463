"""Under what terms each set is published, and whether the people in it were asked.

As published, to the best of our knowledge when this was written: the set's own page decides.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from data.errors import DataError

CHECK: Final = "as published; check the set's own page"
HERE: Final = "data.sets."
UNKNOWN: Final = "licence not known here, read the dataset's page"
FREE: Final = "CC0"  # of rendered people, who are ours


@dataclass(frozen=True)
class Terms:
    """What a set may be used for and what its people agreed to."""

    name: str
    page: str
    licence: str | None  # None where it is not known here
    consent: str
    forbids: str = ""  # a use that whoever trains has to rule out: data.source.accept_terms


WEB_FACES: Final = "photographs from the web; the people in them were not asked"
USER_VLM: Final = (
    "faces of FairFace among the pictures; the people in them were not asked, texts are generated"
)

TERMS: Final[dict[str, Terms]] = {
    "fairface": Terms("FairFace", "github.com/joojs/fairface", "CC BY 4.0", WEB_FACES),
    "utkface": Terms(
        "UTKFace", "susanqq.github.io/UTKFace",
        "non-commercial research only; the pictures belong to their owners", WEB_FACES,
        forbids="any commercial use",
    ),
    "celeba": Terms(
        "CelebA", "mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        "the CelebA agreement: non-commercial research only, no copy is passed on",
        "photographs of well-known people from the web, who were not asked",
        forbids="any commercial use of the pictures or of what is derived from them",
    ),
    "llava_pretrain": Terms(
        "LLaVA-Pretrain", "huggingface.co/datasets/liuhaotian/LLaVA-Pretrain",
        "that of its parts: CC-3M's, LAION's and SBU's pictures, BLIP's captions",
        "pictures from the web; people in them were not asked",
    ),
    "llava_instruct": Terms(
        "LLaVA-Instruct", "huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K",
        "CC BY 4.0, and OpenAI's terms for the answers, which its models wrote; the pictures are "
        "COCO's and other sets', each with terms of its own",
        "pictures from the web; people in them were not asked",
        forbids="what OpenAI's terms forbid: models that compete with its own",
    ),
    "user_vlm_pt": Terms(
        "USER-VLM 360, pretraining", "huggingface.co/datasets/ACIDE", None, USER_VLM
    ),
    "user_vlm_instruct": Terms(
        "USER-VLM 360, instruction", "huggingface.co/datasets/ACIDE", None, USER_VLM
    ),
    "user_vlm_dpo": Terms(
        "USER-VLM 360, preference", "huggingface.co/datasets/ACIDE/user-vlm-dpo", "MIT", USER_VLM
    ),
    "user_vlm": Terms(
        "USER-VLM 360, its three sets", "huggingface.co/datasets/ACIDE",
        f"MIT for the preference pairs; the other two: {UNKNOWN}", USER_VLM,
    ),
}  # fmt: skip


def of(source: Mapping[str, Any]) -> Terms | None:
    """The terms of a config's ``data.source``; None where it is no set of this folder."""
    target = str(source.get("_target_") or "")
    return TERMS.get(target.rpartition(".")[2]) if target.startswith(HERE) else None


def told(source: Mapping[str, Any]) -> str | None:
    """What is shown when the set is read, in one line; None where it is no set of this folder."""
    if (terms := of(source)) is None:
        return None
    forbids = f"; forbids {terms.forbids}" if terms.forbids else ""
    licence = terms.licence or UNKNOWN
    return f"{terms.name}: {licence}{forbids}. {terms.consent}. ({CHECK}: {terms.page})"


def carried(source: Mapping[str, Any]) -> dict[str, Any]:
    """What is noted of a stage and said by its export: of rendered people there are no terms."""
    if (terms := of(source)) is not None:
        return {**asdict(terms), "accepted": bool(source.get("accept_terms")), "note": CHECK}
    if str(source.get("_target_")).startswith("data.portraits."):
        return {"name": "rendered people", "consent": "they are nobody", "licence": FREE}
    return {"name": "a source of one's own", "note": "its terms are not known to Tact"}


def need(name: str, *, accepted: bool) -> None:
    """DataError that states the terms of ``name`` unless ``data.source.accept_terms`` is true."""
    terms = TERMS[name]
    if terms.forbids and not accepted:
        raise DataError(
            f"{terms.name} is published under terms ({terms.licence}) that forbid "
            f"{terms.forbids}; {CHECK}: {terms.page}. Where your use keeps to them: "
            "data.source.accept_terms=true"
        )
