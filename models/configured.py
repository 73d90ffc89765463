"""The model of a config, and the model of a run folder after one of its stages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conf import target
from conf.schema import Config, ModelConfig
from data.attributes import FREE, SENSITIVE
from data.policy import Policy
from lineage.run import RunFolder, StageState
from models import build, origin, state
from models.vlm import VLM


def model(config: ModelConfig, policy: Policy, *, seed: int) -> VLM:
    """The model at its beginning. The policy says what its reader may read."""
    make = None
    if config.parts is not None:
        make = target.function(config.parts, where="model.parts")
    whole, processor = build.whole_model(
        id=config.id,
        revision=config.revision,
        make=make,
        dtype=config.dtype,
        attention=config.attention,
        picture_px=config.picture_px,
    )
    interface = config.interface
    return build.vlm(
        whole,
        processor,
        interface=interface.kind,
        bits=interface.bits,
        tokens=interface.tokens,
        sensitive=SENSITIVE,
        free=FREE,
        readable=policy.readable,
        adversaries=config.adversaries,
        pairs=config.pairs,
        seed=seed,
    )


def begun(config: Config, run: RunFolder, policy: Policy) -> VLM:
    """The model that ``run`` began with, at the commit that it noted where none is stated."""
    return model(origin.kept(config.model, run.read().model), policy, seed=config.seed)


def lora_settings(config: ModelConfig) -> dict[str, Any]:
    """Arguments of ``lora.attach``."""
    lora = config.lora
    return {"rank": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout,
            "targets": list(lora.targets), "freeze_a": lora.freeze_a}  # fmt: skip


def after(
    model: VLM,
    config: ModelConfig,
    run: RunFolder,
    stages: Sequence[StageState],
    *,
    inherited_parts: Sequence[str] | None = None,
    merge_last: bool = True,
) -> VLM:
    """``model`` with the weights of these finished stages of ``run`` laid over it."""
    settings = lora_settings(config)
    inherited = [s for s in stages if s.state == "inherited"]
    own = [s for s in stages if s.state != "inherited"]

    def files(states: Sequence[StageState]) -> list[tuple[Path, Sequence[str]]]:
        return [(run.weights(s.stage), s.trains) for s in states]

    state.replay(model, files(inherited), settings=settings, parts=inherited_parts)
    state.replay(model, files(own), settings=settings, merge_last=merge_last)
    return model


def finished(
    config: Config, run: RunFolder, policy: Policy, *, stages: Sequence[StageState] | None = None
) -> VLM:
    """The model of ``run`` after ``stages`` (all that are finished by default), in eval mode.

    TactError where the pretrained model that it began with has changed.
    """
    origin.check(config.model, run)
    made, parts = begun(config, run, policy), config.parent_parts
    done = run.finished_stages() if stages is None else stages
    return after(made, config.model, run, done, inherited_parts=parts).eval()
