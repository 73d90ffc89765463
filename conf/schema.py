"""The dataclass schema of a run: what may stand in a config, its types and units.

A key that is not here is refused when the config is composed. Where a value may be the user's
own code (a source, the rows of a stage, a loss) it is a mapping with a ``_target_``.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class DataConfig:
    """Who is trained on: a source of pictures, split by person."""

    source: dict[str, Any] = MISSING  # _target_: (cache=...) -> pictures table
    counterfactuals: dict[str, Any] | None = None  # _target_: (pictures, cache=...) -> changed ones
    people: dict[str, int] = field(default_factory=dict)  # split -> how many, dealt in this order
    public: list[str] = field(default_factory=lambda: ["public"])  # splits whose people are public
    max_rejects: float = 0.01  # share of bad rows past which a run stops
    max_length_tokens: int = 512  # a longer row is a reject, never cut


@dataclass
class InterfaceConfig:
    """What leaves the device: ``open`` (projector as it is) or ``private`` (codes of ``bits``)."""

    kind: str = "open"
    bits: int = 16  # bits a picture, all tokens together
    tokens: int = 4  # words a picture; must divide bits


@dataclass
class LoraSettings:
    """LoRA of the language model alone (peft)."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    freeze_a: bool = False  # train B alone, beside random A (FFA-LoRA): half of it, and less noise
    targets: list[str] = field(
        default_factory=lambda: [
            "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
        ]
    )  # fmt: skip


@dataclass
class LicenceConfig:
    """Of the pretrained model, as its publisher states it: told and carried, nothing else."""

    name: str | None = None  # the Hub's word where it has one, such as apache-2.0; null: not stated
    link: str | None = None
    allows: str | None = None  # in a few words


@dataclass
class ModelConfig:
    """A pretrained model by ``id``, or one built from ``parts`` (a ``_target_``)."""

    id: str | None = None  # Hub id or folder
    revision: str | None = None
    licence: LicenceConfig = field(default_factory=LicenceConfig)
    parts: dict[str, Any] | None = None  # _target_: () -> models.parts.Parts
    interface: InterfaceConfig = field(default_factory=InterfaceConfig)
    lora: LoraSettings = field(default_factory=LoraSettings)
    adversaries: list[str] = field(default_factory=lambda: ["linear", "mlp", "attention"])
    dtype: str = "float32"
    attention: str = "sdpa"  # eager | sdpa
    picture_px: int | None = None  # a picture's side at most, of families that take any size
    pairs: str = "one_sequence"  # one_sequence | two_rows (recurrent and hybrid language models)


@dataclass
class SampleConfig:
    """Answers that a stage draws from the model as it is, and which pairs it makes of them.

    Thresholds are constants of the config: a share of all pairs would depend on who else is there.
    """

    answers: int = 4  # drawn to each row
    temperature: float = 1.0
    max_new_tokens: int = 24  # an answer that has not ended by then is dropped
    score: dict[str, Any] = field(
        default_factory=lambda: {"_target_": "data.dialogues.scoring.by_reference"}
    )  # _target_: (rows, answers, **options) -> {personalization, leakage} of each, in [0, 1]
    score_public: bool = False  # a scorer of your own that learned from public people alone
    penalty: float = 1.0  # reward = personalization - penalty x leakage
    min_gap: float = 0.5  # of a pair's rewards at least
    min_reward: float = 0.25  # of the chosen answer at least
    keep_own: bool = False  # a row of whose answers no pair is made: that of the two it brings


@dataclass
class StageConfig:
    """One stage of training: who, on what rows, which parts, which losses, how long.

    With ``sample`` nothing trains: answers are drawn and paired, for the stage that names this one
    in its ``rows_from``.
    """

    people: str = "private"  # the split it reads
    public_only: bool = False  # refuse a split that is not declared public
    rows: dict[str, Any] = MISSING  # _target_: (pictures, seed=, policy=) -> rows
    rows_from: str | None = None  # a stage that samples: its pairs, and rows for validation alone
    sample: SampleConfig | None = None
    train: list[str] = MISSING  # of: tower interface language_model lora reader facts
    losses: dict[str, dict[str, Any]] = MISSING  # name -> {_target_, weight, ...}
    columns: str = "messages"  # messages | preference
    steps: int = 0
    epochs: float | None = None  # in place of steps, once the rows are counted; not under DP
    batch_size_rows: int = 32  # of a step: of all processes and parts together
    learning_rate: float = 1e-3
    adversary_learning_rate: float = 2e-3
    warmup_steps: int = 20
    optimizer: str = "adamw"  # adamw | sgd
    weight_decay: float = 0.01
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])  # adamw's
    momentum: float = 0.0  # sgd's
    gradient_clip_norm: float = 1.0
    flip: bool = False  # mirror half of the pictures
    references: str = "adapter_off"  # adapter_off | cached | none


@dataclass
class PrivacyConfig:
    """Differential privacy of all stages on people who are not public; off where epsilon is null.

    (ε, δ) with respect to adding or removing one unit. ``units`` is a public number: how many
    there may be, never a count of private rows.
    """

    epsilon: float | None = None
    delta: float = 1e-5
    unit: str = "subject"  # subject | row
    units: int | None = None
    expected_batch_units: float = 256.0
    rows_per_unit: int = 1  # of a unit in one step at most
    max_grad_norm: float = 1.0  # of a unit's summed gradient
    physical_batch_rows: int = 32  # rows in memory at once; changes nothing but memory
    fixed_key: str | None = None  # for tests: whoever reads it subtracts the noise, so no ε holds


@dataclass
class TrainerConfig:
    """Loop, devices and what is written on the way."""

    accelerator: str = "cpu"
    devices: int = 1  # of a node; one process each
    nodes: int = 1
    strategy: str = "auto"  # auto (one device) | ddp | fsdp2 | zero2 | zero3
    accumulate: int = 1  # parts of a step that go through the model one after the other
    precision: str = "32-true"  # 32-true | bf16-mixed (weights stay float32) | bf16-true
    threads: int = 2
    checkpoint_every_steps: int = 50
    validation_rows: int = 64
    validate_every_steps: int = 0  # 0: at a stage's end alone
    log_every_steps: int = 10
    cache_features: bool = True  # frozen tower: encode each picture once a stage
    lm_head_chunk_positions: int = 4096
    progress: bool = True


@dataclass
class SiteConfig:
    """Where jobs run: what Slurm is asked for, and what stands around a job's command."""

    name: str = "local"
    scheduler: str = "local"  # local: this machine's cores | slurm
    partition: str | None = None  # null: the cluster's default one
    account: str | None = None
    time: str = "24:00:00"  # of one job, as Slurm writes it; a job that needs more is requeued
    cpus: int = 2
    memory: str | None = None  # as Slurm writes it, such as 32G
    gpus: int = 0
    options: list[str] = field(default_factory=list)  # more of sbatch's, such as --qos=long
    signal_s: int = 120  # seconds before the limit at which a job is told to save
    modules: list[str] = field(default_factory=list)  # module load …
    environment: dict[str, str] = field(default_factory=dict)
    python: str | None = None  # a job's Python; null: the one that submits
    wrap: str = "{command}"  # such as apptainer exec --nv FILE {command}


@dataclass
class ReportConfig:
    """What the report measures and on how many people."""

    split: str = "test"
    people: int = 500
    attack_split: str = "attack"
    examples: int = 10
    max_new_tokens: int = 24
    batch_size_rows: int = 256
    behaviour: bool = True
    text: bool = True
    flips: bool = True
    flip_people: int = 100
    interface: bool = True
    strength: bool = True  # the attackers on the tower's features, beside
    curves: bool = True  # over the attacker's people, and over pictures held
    controls: dict[str, str] = field(default_factory=dict)  # name -> a run to stand beside


@dataclass
class ExportConfig:
    """What a finished run is written as, and what is let through."""

    form: str = "merged"  # merged | adapter (of the pretrained model, where that is all it trained)
    dtype: str = "float32"  # float32 | bfloat16; a device half stays float32: its codes are exact
    base: str | None = None  # Hub id that an adapter names as its base; model.id, where that is one
    allow: list[str] = field(default_factory=list)  # bounds of the policy that may be missed
    intended_use: str | None = None  # a sentence for the card


@dataclass
class Config:
    """A whole run."""

    run: str = MISSING
    parent: str | None = None  # RUN or RUN@STAGE
    parent_parts: list[str] | None = None  # take only these parts of the parent's model
    description: str = ""
    steps: list[str] = MISSING
    stages: list[str] | None = None  # run only these stages, and no other step
    seed: int = 0
    checkpoints: str = "checkpoints"
    cache: str = ".cache"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    stage: dict[str, StageConfig] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    logger: dict[str, Any] = field(default_factory=dict)
    site: SiteConfig = field(default_factory=SiteConfig)
    dry_run: bool = False
    json: bool = False
