"""The model card: what it is for, what was measured, where it fails, how it is loaded."""

from importlib.resources import files as packaged
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment

from conf.schema import Config
from data.policy import Policy
from export import licences
from export.clean import PICTURE
from export.evidence import Content, Evidence, headline
from export.usage import Base, usage

DATA = "people that nothing was trained on"
TOLD = {  # figure → what it says of a model where it is large (1) or small (-1)
    "leak_rate": (1, "gives away what was not shared"),
    "attacker_auc": (1, "what leaves the device tells"),
    "text_attacker_auc": (1, "its answers tell an attacker"),
    "flip_rate": (1, "answers change with an attribute that was not shared"),
    "over_refusal": (1, "declines questions of fact"),
    "fact_accuracy": (-1, "answers facts right"),
    "shared_use": (-1, "uses what was shared"),
}


def card(
    config: Config,
    policy: Policy,
    evidence: Evidence,
    *,
    picture_px: int | None,
    template: bool,
    base: Base | None = None,
    drawn: bool = False,
) -> str:
    """README.md of an export; ``picture_px`` is the side that pictures are first resized to.

    ``template``: whether the export holds a chat template. ``base``: what an adapter is laid over.
    ``drawn``: whether the picture is there.
    """
    wanted, kind = config.export, config.model.interface.kind
    text = packaged("export").joinpath("card.md.jinja").read_text(encoding="utf-8")
    measures = headline(evidence.report)
    ledger = evidence.ledger
    began = licences.of_models(config, evidence.manifest)
    terms = licences.of_data(config, evidence.manifest)
    return (
        Environment(keep_trailing_newline=True)
        .from_string(text)
        .render(
            metadata=_metadata(config, measures, began, licences.head(began, terms), base=base),
            not_met=evidence.not_met,
            bounds=policy.bounds,
            run=config.run,
            description=config.description,
            stages=[s.stage for s in evidence.manifest.stages],
            rounded=wanted.dtype == "bfloat16",
            base=base,
            unpinned=", ".join(
                f"`{m['hub_id']}`" for m in began if m["hub_id"] and not m["pinned"]
            ),
            template=template,
            intended_use=wanted.intended_use or _intended(policy),
            policy=policy.name,
            sensitive=policy.sensitive,
            prohibited=policy.prohibited,
            kind=kind,
            tokens=config.model.interface.tokens,
            bits=config.model.interface.bits,
            spent=ledger["statement"] if ledger else None,
            began=began,
            terms=terms,
            picture=PICTURE if drawn else None,
            measures=measures,
            fails=fails(evidence.report, policy),
            usage=usage(kind=kind, base=base, picture_px=picture_px, template=template),
        )
    )


def fails(report: Content | None, policy: Policy) -> list[str]:
    """The report's warnings, each group past a bound, and of each other figure its worst group."""
    found = list((report or {}).get("warnings", []))
    measures = headline(report)
    for name, (sign, says) in TOLD.items():
        mine = sorted((m for m in measures if m["name"] == name), key=lambda m: -sign * m["value"])
        bound = policy.bounds.get(name)
        past = [m for m in mine if bound is not None and m["value"] > bound]
        for m in past or mine[:1]:
            worst = f" (bound: {bound:g})" if past else " (its worst group)"
            found.append(
                f"{says}: {m['group']}, `{name}` {m['value']:.3f} ({m['low']:.3f} to "
                f"{m['high']:.3f}){worst}"
            )
    return found


def _intended(policy: Policy) -> str:
    shared = ", ".join(policy.sensitive) or "nothing"
    return (
        "Answering its own user's questions about a picture of them. What they share of "
        f"themselves ({shared}) is stated in words and used; what they don't is not told."
    )


def _metadata(
    config: Config,
    measures: list[dict[str, Any]],
    began: list[dict[str, Any]],
    licence: dict[str, Any],
    *,
    base: Base | None,
) -> str:
    """The card's head as YAML, with the figures as a model index."""
    kind = config.model.interface.kind
    hub_ids = list(dict.fromkeys(m["hub_id"] for m in began if m["hub_id"]))
    results = [
        EvalResult(
            task_type="image-text-to-text",
            dataset_type="private",
            dataset_name=DATA,
            dataset_split=config.report.split,
            metric_type=m["name"],
            metric_name=f"{m['suite']}: {m['name']} of {m['group']}",
            metric_value=round(m["value"], 4),
            metric_args={
                "low": round(m["low"], 4),
                "high": round(m["high"], 4),
                "n": m["n"],
                "unit": m["unit"],
                "attacker": m["attacker"],
            },
        )  # fmt: skip
        for m in measures
    ]
    return ModelCardData(
        library_name="transformers" if base is None else "peft",
        pipeline_tag="image-text-to-text",
        **licence,
        base_model=[base.id] if base else hub_ids or None,
        tags=["tact", "privacy", kind],
        model_name=config.run,
        eval_results=results or None,
    ).to_yaml()
