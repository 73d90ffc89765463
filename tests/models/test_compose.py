"""A LLaVA of a tower and a language model from two folders: aligned, and bad parts named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from tiny_words import PATCH, PX, VISION, siglip, text, tokenizer

from conf.compose import load
from lineage.errors import TactError
from models import build, compose, configured, families
from train.run import execute

OWN = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TALK = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "who is it ?"}]},
    {"role": "assistant", "content": "a person ."},
]


def saved(model: Any, folder: Path, *more: Any) -> Path:
    for each in (model, *more):
        each.save_pretrained(folder)
    return folder


def words(*, own: bool = False) -> Any:
    made = tokenizer({} if own else {"picture": "<picture>"}, picture="")
    if own:  # a language model that speaks no ChatML
        made = hf.PreTrainedTokenizerFast(
            tokenizer_object=made.backend_tokenizer, eos_token="<eos>", chat_template=OWN
        )
    return made


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two towers and two language models; ``siglip`` holds a text model too."""
    folder, chat, own = tmp_path_factory.mktemp("parts"), words(), words(own=True)
    torch.manual_seed(0)
    square = {"height": PX, "width": PX}
    clip = hf.CLIPVisionModel(hf.CLIPVisionConfig(image_size=PX, patch_size=PATCH, **VISION))
    both = hf.SiglipConfig(
        vision_config=siglip().to_dict(), text_config={**VISION, "vocab_size": 9}
    )
    qwen, llama = hf.Qwen2Config(**text(chat)), hf.LlamaConfig(**text(chat))
    llama.tie_word_embeddings = True
    prepare = hf.CLIPImageProcessorPil(size={"shortest_edge": PX}, crop_size=square)
    return {
        "clip": saved(clip, folder / "clip", prepare),
        "siglip": saved(
            hf.SiglipModel(both), folder / "siglip", hf.SiglipImageProcessorPil(size=square)
        ),
        "qwen2": saved(hf.Qwen2ForCausalLM(qwen), folder / "qwen2", chat),
        "llama": saved(hf.LlamaForCausalLM(llama), folder / "llama", own),
        "silent": saved(hf.Qwen2ForCausalLM(qwen), folder / "silent"),
    }


@pytest.mark.parametrize(("tower", "language"), [("clip", "qwen2"), ("siglip", "llama")])
def test_align_moves_the_new_projector_and_nothing_else(
    short: Callable[..., list[str]], parts: dict[str, Path], pictures: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, tower: str, language: str,
) -> None:  # fmt: skip
    made: list[Any] = []
    make = configured.model

    def kept(*given: Any, **options: Any) -> Any:
        made.append(make(*given, **options))
        made.append({n: t.clone() for n, t in made[0].state_dict().items()})
        return made[0]

    monkeypatch.setattr(configured, "model", kept)
    given = ["model=composed", f"model.parts.tower={parts[tower]}", "model.interface.kind=open"]
    given += [f"model.parts.language={parts[language]}", "steps=[align]", "run=composed"]
    given += [f"~stage.align.losses.{n}" for n in ("reader", "facts", "adversarial_tokens")]
    given += ["stage.align.losses.language.weight=1", "stage.align.train=[interface]"]
    given += [f"stage.align.{n}" for n in ("steps=3", "rows.count=40", "batch_size_rows=4")]
    execute(load(short(*given, "trainer.validation_rows=0")))
    model, before = made
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert {name.split(".")[0] for name in moved} == {"interface"}
    written = load_file(tmp_path / "composed" / "stages" / "1-align" / "model.safetensors")
    assert {name.split(".")[0] for name in written} == {"interface"}
    whole = model.parts.whole.model
    seen = hf.AutoModel.from_pretrained(parts[tower])
    speaks = hf.AutoModelForCausalLM.from_pretrained(parts[language])
    ours = whole.vision_tower.state_dict()
    theirs = getattr(seen, "vision_model", seen).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    ours = whole.language_model.state_dict()
    for name, tensor in speaks.base_model.state_dict().items():
        assert torch.equal(ours[name][: len(tensor)], tensor)


def test_a_language_models_own_template_is_kept_and_writes_the_picture(
    parts: dict[str, Path], tmp_path: Path
) -> None:
    options: dict[str, Any] = {"revision": None, "make": None, "dtype": "float32"}
    for language, said in (
        ("llama", "[user]<image>who is it ?<eos>[assistant]a person .<eos>"),
        ("qwen2", "<|im_start|>user\n<image>who is it ?<|im_end|>\n"
                  "<|im_start|>assistant\na person .<|im_end|>\n"),
    ):  # fmt: skip
        made = compose.llava(tower=str(parts["clip"]), language=str(parts[language]))
        folder = saved(made[0], tmp_path / language, made[1])
        again = build.whole_model(id=str(folder), attention="sdpa", **options)  # as an export is
        for whole, processor in (made, again):
            encoder = families.find("llava").parts(whole, processor).encoder
            assert encoder.render(TALK) == said
            assert encoder.pad_token_id >= 0
            ids = encoder.encode([encoder.render(TALK)])[0]
            assert ids.count(encoder.image_token_id) == encoder.tokens_per_picture


def test_parts_are_read_at_the_commits_that_are_stated(
    parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit, moved = "a" * 40, "b" * 40
    for name, later in (("clip", "silent"), ("qwen2", "silent")):
        repository = tmp_path / f"models--nobody--{name}"
        shutil.copytree(parts[name], repository / "snapshots" / commit)
        shutil.copytree(parts[later], repository / "snapshots" / moved)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(moved)
    given: dict[str, Any] = {"tower": "nobody/clip", "language": "nobody/qwen2"}
    revisions = {"tower": commit, "language": commit}
    whole, _ = compose.llava(**given, revisions=revisions)
    seen = hf.AutoModel.from_pretrained(parts["clip"]).state_dict()
    ours = whole.model.vision_tower.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in seen.items())
    with pytest.raises(TactError, match="is no vision tower"):
        compose.llava(**given, revisions={"language": commit})
    with pytest.raises(TactError, match="language=nobody/qwen2: .*tokenizer"):
        compose.llava(**given, revisions={"tower": commit})
    given.update(tokenizer="nobody/qwen2", language=str(parts["silent"]))
    assert compose.llava(**given, revisions={"tower": commit, "tokenizer": commit})


def test_both_parts_can_be_new_ones_by_config(parts: dict[str, Path]) -> None:
    tower = {"model_type": "clip_vision_model", "image_size": PX, "patch_size": PATCH, **VISION}
    language = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 1, "num_attention_heads": 2}  # fmt: skip
    own = str(parts["qwen2"])
    made = [compose.llava(tower=tower, language=language, tokenizer=own, seed=s) for s in (1, 1, 2)]
    one, same, other = (whole.state_dict() for whole, _ in made)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])
    with pytest.raises(TactError, match="a config has no tokenizer.*model.parts.tokenizer"):
        compose.llava(tower=tower, language=language)


@pytest.mark.parametrize(
    ("tower", "language", "said"),
    [
        ("qwen2", "qwen2", r"model.parts.tower: 'qwen2' is no vision tower.*siglip_vision_model"),
        ("clip", "silent", r"model.parts.language=.*silent: it has no tokenizer"),
        ("clip", "clip", r"model.parts.language: 'clip_vision_model' is no causal language model"),
        ("clip", "nowhere", r"model.parts.language=nowhere: it can't be loaded"),
        ("nowhere", "qwen2", r"model.parts.tower=nowhere: it can't be loaded"),
        ({"hidden_size": 8}, "qwen2", r"model.parts.tower: \{'hidden_size': 8\} is no config"),
    ],
)
def test_a_bad_part_is_named(parts: dict[str, Path], tower: Any, language: str, said: str) -> None:
    given = str(parts.get(tower, tower)) if isinstance(tower, str) else tower
    with pytest.raises(TactError, match=said):
        compose.llava(tower=given, language=str(parts.get(language, language)))


def test_a_tower_with_weights_left_over_and_missing_is_named(
    parts: dict[str, Path], tmp_path: Path
) -> None:
    whole = hf.CLIPVisionModel.from_pretrained(parts["clip"])
    state = {f"x{n}" if "layers.0.mlp.fc1" in n else n: t for n, t in whole.state_dict().items()}
    whole.save_pretrained(tmp_path, state_dict=state)
    said = r"missing: encoder.layers.0.mlp.fc1.bias.*left over: xencoder"
    with pytest.raises(TactError, match=said):
        compose.llava(tower=str(tmp_path), language=str(parts["qwen2"]))
