"""What a config holds, as frozen, strictly typed settings.

What a task can be told is the task's own business: its settings are a pydantic model of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

SEEDS_ALLOWED = 4096


class Settings(BaseModel):
    """The base of every group of settings: frozen, typed strictly, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _check_memory(text: str) -> str:
    """Raise `ValueError` for what is no amount of memory."""
    if not re.fullmatch(r"[1-9][0-9]{0,6}[MGT]", text):
        raise ValueError("write an amount of memory such as '500M' or '8G'")
    return text


def _from_number(value: object) -> object:
    """Read a number without a unit as text, so that the error is about the unit."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Memory = Annotated[str, BeforeValidator(_from_number), AfterValidator(_check_memory)]
_MIB = {"M": 1, "G": 1024, "T": 1024**2}


def bytes_of(memory: str) -> int:
    """Give an amount of memory, such as `500M`, in bytes."""
    return int(memory[:-1]) * _MIB[memory[-1]] * 2**20


def _read_seeds(value: object) -> object:
    """Read `3`, `0:32` or a list of seeds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,10}):([0-9]{1,10})", value.strip())
        listed = [part.strip() for part in value.strip().strip("[]").split(",")]
        if match is None and all(re.fullmatch(r"[0-9]{1,18}", part) for part in listed):
            return _read_seeds([int(part) for part in listed])
        if match is None or int(match[2]) <= int(match[1]):
            raise ValueError("write a single seed (3), a range (0:32 is 0 to 31) or a list ([0, 3, 5])")
        if int(match[2]) - int(match[1]) > SEEDS_ALLOWED:
            raise ValueError(f"at most {SEEDS_ALLOWED} seeds can train together")
        return tuple(range(int(match[1]), int(match[2])))
    if isinstance(value, list):
        if len(set(map(repr, value))) < len(value):
            raise ValueError("each seed can be listed only once")
        return tuple(value)
    return value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**63)], ...],
    BeforeValidator(_read_seeds),
    Field(min_length=1, max_length=SEEDS_ALLOWED),
]


Rate = Annotated[float, Field(ge=0, lt=1)]
EpsPlacement = Literal["torch", "keras"]
OnNonfinite = Literal["diverge", "skip"]
ON_NONFINITE = (
    "what becomes of a seed whose loss or gradient is not finite: diverge freezes it for good, skip leaves that update out and counts it"
)
EPS_PLACEMENT = (
    "what eps is added to: the root of the mean square after its bias correction (torch) or before it (keras), "
    "where it weighs more in the first steps"
)


class Adam(Settings):
    """Adam. Its learning rate is the sheet's column `lr`."""

    name: Literal["adam"] = Field("adam", description="name of the optimizer: adam, adamw or sgd")
    betas: tuple[Rate, Rate] = Field(
        (0.9, 0.999), description="decay rates of the running means of the gradient and of its square; columns momentum and beta2"
    )
    eps: float = Field(1e-8, gt=0, description="term added to the denominator for numerical stability")
    eps_placement: EpsPlacement = Field("torch", description=EPS_PLACEMENT)
    on_nonfinite: OnNonfinite = Field("diverge", description=ON_NONFINITE)


class AdamW(Settings):
    """Adam with decoupled weight decay. Its learning rate is the sheet's column `lr`."""

    name: Literal["adamw"] = Field("adamw", description="name of the optimizer: adam, adamw or sgd")
    betas: tuple[Rate, Rate] = Field(
        (0.9, 0.999), description="decay rates of the running means of the gradient and of its square; columns momentum and beta2"
    )
    eps: float = Field(1e-8, gt=0, description="term added to the denominator for numerical stability")
    eps_placement: EpsPlacement = Field("torch", description=EPS_PLACEMENT)
    on_nonfinite: OnNonfinite = Field("diverge", description=ON_NONFINITE)
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay, times the learning rate; column weight-decay")


class SGD(Settings):
    """Stochastic gradient descent with momentum. Its learning rate is the sheet's column `lr`."""

    name: Literal["sgd"] = Field("sgd", description="name of the optimizer: adam, adamw or sgd")
    momentum: Rate = Field(0.9, description="decay rate of the running sum of gradients, 0 for none; column momentum")
    nesterov: bool = Field(False, description="look ahead along the momentum")
    on_nonfinite: OnNonfinite = Field("diverge", description=ON_NONFINITE)
    weight_decay: float = Field(0.0, ge=0, description="weight decay, added to the gradient; column weight-decay")


Optimizer = Adam | AdamW | SGD
OPTIMIZERS: Mapping[str, type[Settings]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


class TaskSettings(Settings):
    """The settings of a task that declares none of its own."""

    name: str = Field(description="the task: file.py:Class, package.module:Class, or the name of an installed one")
    batch_size: int | None = Field(None, ge=1, description="number of samples in a batch; default: the task's own")


class Recording(Settings):
    """What a run stores."""

    snapshot_every: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="steps between snapshots of the parameters; default: every step with one seed, "
        "and the steps that the video shows with several",
    )
    snapshots: Literal["auto", "on", "off"] = Field(
        "auto", description="whether to store snapshots; auto: if the task has a picture that moves, or snapshot_every is set"
    )
    checkpoint_every: int = Field(20_000, ge=1, description="steps between checkpoints, from which a run can resume")
    checkpoint_seconds: float = Field(30.0, gt=0, description="seconds between checkpoints; whichever comes first")


class HookSetting(Settings):
    """A hook of the user's own, called while the run goes on."""

    on: str = Field(description="the event: phase-start, action:NAME, pre-step, step-metrics, phase-end or run-end")
    call: str = Field(pattern=r"^[^:\n]+:[\w.]+$", description="the function to call, as ./file.py:function or package.module:function")


OfTask = TypeVar("OfTask", bound=Settings)
OfOptimizer = TypeVar("OfOptimizer", bound=Settings)


class Config(Settings, Generic[OfTask, OfOptimizer]):
    """What is trained, and how; the dopesheet says the rest."""

    task: OfTask = Field(description="name of the task, and its settings")
    seeds: Seeds = Field((0,), description="seeds to train together, such as 0, 0:32 or [0, 3, 5]")
    optimizer: OfOptimizer = Field(default_factory=Adam, description="how the parameters are updated")  # type: ignore[assignment]
    record: Recording = Field(default_factory=Recording, description="what the run stores")
    device: Literal["cpu", "cuda"] = Field("cpu", description="device to train on; no GPU is needed")
    threads: int = Field(1, ge=1, le=256, description="number of threads for training; small models are fastest with 1")
    stack: Literal["auto", "on", "off"] = Field(
        "auto",
        description="compute all seeds at once (on), as many as stack_memory has room for (auto), or one after the other (off), "
        "which works with any module",
    )
    stack_memory: Memory = Field("64M", description="memory that the losses and gradients of a step may take with stack: auto")
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="train by compiled code: auto, where a long training makes up for the time to compile; on; or off",
    )
    hooks: tuple[HookSetting, ...] = Field((), description="your own hooks")

    def dump(self) -> dict[str, Any]:
        """Turn the config into plain values, as YAML and JSON hold them."""
        plain: dict[str, Any] = json.loads(self.model_dump_json(by_alias=True))
        return plain


def schema_of(settings: type[Settings], optimizer: str = "adam") -> type[Config[Any, Any]]:
    """Give the config's schema for a task that takes these settings, and an optimizer."""
    schema: type[Config[Any, Any]] = Config.__class_getitem__((settings, OPTIMIZERS[optimizer]))  # type: ignore[assignment]
    return schema
