"""How much memory a stage that draws answers takes, without taking it."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import DynamicCache

from conf.schema import Config
from data.encode import EncodedRow
from models.vlm import VLM
from train.footprint import Batches, Counted, Footprint, Fused


def footprint(config: Config, name: str, model: VLM, rows: Sequence[EncodedRow]) -> Footprint:
    """Of stage ``name`` on rows such as these: weights, and what each thread draws at once.

    ``model`` is an ``empty_model``; the batch is of the longest prompts.
    """
    stage = config.stage[name]
    assert stage.sample is not None
    asked = [replace(row, answers=(), supervised=(), emphasis=()) for row in rows]
    batch = Batches(asked, stage.batch_size_rows).made(model, pixels=True)
    with torch.no_grad(), Fused(), Counted() as seen:
        weights = seen.hold([*model.parameters(), *model.buffers()])
        assert batch.pixel_values is not None
        embeds = model.tokens(model.features(batch.pixel_values)).embeds
        given, cache = model.inputs(batch.input_ids, batch.segments, embeds), DynamicCache()
        states = model.language_model(**given, past_key_values=cache, use_cache=True)
        last = states.last_hidden_state[:, -1].repeat_interleave(stage.sample.answers, 0)
        del given, states, embeds
        before = seen.held
        cache.batch_repeat_interleave(stage.sample.answers)
        words = seen.held - before  # of the prompt, to each answer
        torch.softmax(model.head(last).double(), -1).cumsum(-1)
        step = seen.phase() - weights
    more = words * stage.sample.max_new_tokens // batch.input_ids.shape[1]
    threads = config.trainer.threads if config.trainer.accelerator == "cpu" else 1
    return Footprint(weights, 0, 0, (step + more) * threads, 0)
