"""What a run trained, as an adapter that peft lays over the pretrained model that it began with.

Adapters of several stages are one: W + s·B₁A₁ + s·B₂A₂ = W + s·[B₁ B₂][A₁; A₂] (Hu et al. 2021,
eq. 3, twice), of the ranks' sum. A trained projector goes in whole (peft's ``modules_to_save``).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor, nn

from conf.schema import Config
from export.saving import save
from export.usage import Base
from lineage.errors import TactError
from lineage.run import Manifest, RunFolder
from models import configured, origin
from models.vlm import VLM

FITS = ("lora", "interface", "reader", "facts")  # parts that an adapter holds, or leaves out
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")


def base_of(config: Config, manifest: Manifest) -> Base:
    """What an adapter names. TactError where there is no such id, or no adapter can be."""
    base = config.export.base or config.model.id
    trained = sorted({part for s in manifest.stages for part in s.trains} - set(FITS))
    if trained:
        raise TactError(
            f"form=adapter: this run trained {', '.join(trained)} too, which is no adapter of a "
            "pretrained model: export with form=merged"
        )
    if not base or not HUB_ID.fullmatch(base) or Path(base).is_dir():
        raise TactError(
            "form=adapter: model.id is a folder of this machine, which nobody else has; name the "
            "Hub id with the same weights by base=OWNER/NAME, or export with form=merged"
        )
    own = base == config.model.id
    commit = origin.kept(config.model, manifest.model).revision
    return Base(base, commit if own else None, checked=own)


def write(
    model: VLM, config: Config, run: RunFolder, folder: Path, *, begun: VLM, base: Base
) -> None:
    """``adapter_config.json``, ``adapter_model.safetensors`` and the processor, for ``PeftModel``.

    ``model`` is the finished one, ``begun`` the same before any stage; it is changed.
    """
    stages = run.finished_stages()
    adapters = [load_file(run.weights(s.stage)) for s in stages if "lora" in s.trains]
    projector = any("interface" in s.trains for s in stages)
    whole, pairs = begun.parts.whole, _joined(adapters)
    inside = _names(whole)[begun.language_model]
    saved = _leaves(whole, begun.parts.projector) if projector else {}
    made = get_peft_model(whole, _config(config, len(adapters), inside, list(pairs), saved))
    own = dict(made.named_parameters())
    with torch.no_grad():
        for layer, (a, b) in pairs.items():
            at = f"base_model.model.{inside}.{layer}"
            own[f"{at}.lora_A.default.weight"].copy_(a)
            own[f"{at}.lora_B.default.weight"].copy_(b)
    for name, at in saved.items():
        trained = model.parts.projector.get_submodule(name).state_dict()  # type: ignore[union-attr]
        copy = made.get_submodule(f"base_model.model.{at}.modules_to_save.default")
        copy.load_state_dict(trained)
    named = made.peft_config["default"]
    named.base_model_name_or_path, named.revision = base.id, base.revision
    save(made.to(getattr(torch, config.export.dtype)), folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's own, of the folder that was read
    model.parts.processor.save_pretrained(folder)


def _config(
    config: Config, count: int, inside: str, layers: Sequence[str], saved: Mapping[str, str]
) -> LoraConfig:
    settings = configured.lora_settings(config.model)
    return LoraConfig(
        r=settings["rank"] * max(count, 1),
        lora_alpha=settings["alpha"] * max(count, 1),  # so that s = α/r stays
        target_modules=[f"{inside}.{layer}" for layer in layers],
        modules_to_save=list(saved.values()) or None,
        bias="none",
    )


def _joined(adapters: Sequence[Mapping[str, Tensor]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer of the language model → A (r·n, in), B (out, r·n) of all stages together."""
    part, a, b = "language_model.", ".lora_A.default.weight", ".lora_B.default.weight"
    names = [n for n in (adapters[0] if adapters else ()) if n.endswith(a)]
    layers = [n.removeprefix(part).removesuffix(a) for n in names]
    return {
        layer: (
            torch.cat([f[f"{part}{layer}{a}"] for f in adapters], dim=0),
            torch.cat([f[f"{part}{layer}{b}"] for f in adapters], dim=1),
        )
        for layer in layers
    }


def _leaves(whole: nn.Module, projector: nn.Module | None) -> dict[str, str]:
    """The projector's modules with parameters of their own: name there → name in ``whole``."""
    names, found = _names(whole), {}
    for name, module in (projector or nn.Module()).named_modules():
        if list(module.parameters(recurse=False)):
            if module not in names:
                raise TactError(
                    f"form=adapter: the projector's {name or 'own parameters'} can't be named to "
                    "peft; export with form=merged"
                )
            found[name] = names[module]
    return found


def _names(whole: nn.Module) -> dict[nn.Module, str]:
    return {module: name for name, module in whole.named_modules()}
