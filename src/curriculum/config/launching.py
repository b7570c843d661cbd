"""What a launcher can be told: where the blocks of an experiment are trained, and what each of them may use."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from curriculum.config.settings import Memory, Settings, bytes_of
from curriculum.errors import unknown

LAUNCHERS = ("inline", "local", "ray", "slurm")
OF = {  # settings that only some launchers know
    "workers": ("local", "ray", "slurm"),
    "retries": ("local", "ray", "slurm"),
    "cores": ("local", "ray", "slurm"),
    "gpus": ("local", "ray", "slurm"),
    "environment": ("local", "ray", "slurm"),
    "address": ("ray",),
    "partition": ("slurm",),
    "setup": ("slurm",),
    "options": ("slurm",),
}


def _check_time(text: str) -> str:
    """Raise `ValueError` for what is no time limit."""
    if not re.fullmatch(r"[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]", text) or not seconds_of(text):
        raise ValueError("write a time as 'HOURS:MINUTES:SECONDS', in quotation marks, such as '2:00:00'")
    return text


def _from_sexagesimal(value: object) -> object:
    """Read `2:00:00` without quotation marks, which YAML 1.1 reads as a number of seconds."""
    return f"{value // 3600}:{value // 60 % 60:02d}:{value % 60:02d}" if isinstance(value, int) and not isinstance(value, bool) else value


Time = Annotated[str, BeforeValidator(_from_sexagesimal), AfterValidator(_check_time)]


class LauncherSettings(Settings):
    """The settings of a launcher: in an experiment as `launcher`, or in a file of their own."""

    name: str = Field("inline", description=f"where blocks are trained: {', '.join(LAUNCHERS)}")
    workers: int | None = Field(
        None, ge=1, le=10_000, description="blocks that train at a time; by default as many as the machine or the cluster has room for"
    )
    block: int | None = Field(None, ge=1, le=4096, description="seeds of each arm in a block; by default the seeds divided by the workers")
    retries: int = Field(3, ge=0, le=100, description="how often a block that failed is sent again without having got any further")
    cores: int | None = Field(None, ge=1, le=1024, description="cores of each worker; by default as many as the config's threads")
    gpus: int = Field(0, ge=0, le=64, description="GPUs of each worker")
    memory: Memory | None = Field(None, description="memory of each worker, such as 8G; blocks are cut so that they need no more")
    time: Time | None = Field(None, description="time of each block, such as '2:00:00'; blocks are cut so that they take no longer")
    environment: dict[str, str] = Field({}, description="environment variables of the workers")
    address: str | None = Field(None, description="the Ray cluster, such as 10.0.0.1:6379; by default that of RAY_ADDRESS, or a local one")
    partition: str | None = Field(None, description="the Slurm partition")
    setup: list[str] = Field([], description="lines of the shell before each block under Slurm, such as 'module load python'")
    options: list[str] = Field([], description="further options of sbatch, such as --account=NAME")

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in LAUNCHERS:
            raise ValueError(unknown("launcher", name, LAUNCHERS))
        return name

    @property
    def misplaced(self) -> list[str]:
        """The settings that were given, but that this launcher does not know."""
        return [key for key in self.model_fields_set if self.name not in OF.get(key, LAUNCHERS)]

    @property
    def megabytes(self) -> int | None:
        """The memory of a worker, in MiB."""
        return None if self.memory is None else bytes_of(self.memory) // 2**20

    @property
    def seconds(self) -> int | None:
        """The time of a block, in seconds."""
        return None if self.time is None else seconds_of(self.time)


def seconds_of(text: str) -> int:
    """Read a time `H:MM:SS` as seconds."""
    hours, minutes, seconds = map(int, text.split(":"))
    return 3600 * hours + 60 * minutes + seconds
