"""Take numbers from a training loop: as they are, without waiting for a device, a part at a time."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import InputError, unknown
from curriculum.train.scores import Score, score_of

if TYPE_CHECKING:
    import pyarrow as pa

RESERVED = ("step", "seed", "total")  # columns of the stored table that are no metrics
LOSS = "loss"  # is stored as the total, as the loss of any run is
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,79}")
FIELDS = ("better", "unit", "scale", "smallest", "level")
Series = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps [F] and values [F]


def check_name(name: object) -> str:
    """Check the name of a metric. Raises `InputError` for one that a stored table or curve cannot have."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED or name.endswith(".steps"):
        raise InputError(
            f"a metric cannot be named {name!r}: use up to 80 letters, digits, '_', '.', '/' and '-', the first a letter, "
            f"and none of {', '.join(RESERVED)}"
        )
    return name


def declared(metrics: Mapping[str, object]) -> dict[str, Score]:
    """Read how metrics are judged: "higher", "lower", a `Score`, or a mapping with its fields. Raises `InputError`."""
    found = {}
    for name, given in metrics.items():
        fields = dict(given) if isinstance(given, Mapping) else {key: getattr(given, key) for key in FIELDS if hasattr(given, key)}
        for strange in [key for key in fields if key not in FIELDS]:
            raise InputError(f"the metric {name!r}: {unknown('setting', str(strange), FIELDS)}")
        better = fields.pop("better", given if isinstance(given, str) else None)
        if better not in ("higher", "lower"):
            raise InputError(f"the metric {name!r}: say whether 'higher' or 'lower' is better, not {better!r}")
        score = score_of(check_name(name), better)
        known = {key: value for key, value in fields.items() if value is not None}
        for key in ("scale", "smallest"):
            value = known.get(key, 1.0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InputError(f"the metric {name!r}: {key} must be a number above 0, not {value!r}")
        level = known.get("level", 0.0)
        if isinstance(level, bool) or not isinstance(level, int | float) or not math.isfinite(level):
            raise InputError(f"the metric {name!r}: level must be a number, not {level!r}")
        if not fields and isinstance(given, str):
            found[name] = score
        else:
            scale, smallest = known.get("scale", score.scale if "unit" not in known else 1.0), known.get("smallest")
            unit = str(known.get("unit", score.unit if "scale" not in known else ""))
            numbers = (None if value is None else float(value) for value in (smallest, known.get("level")))
            found[name] = Score(score.better, unit, float(scale), *numbers)
    return found


def take(name: str, value: Any) -> Any:
    """Take a number: a Python or NumPy number as a float, a tensor on a device detached and copied there, to be read later.

    Raises `InputError` for what is not one number.
    """
    if isinstance(value, int | float):
        return float(value)
    if hasattr(value, "detach") and hasattr(value, "numel"):
        if value.numel() != 1 or value.is_complex():
            raise InputError(f"the metric {name!r} is not a number: it is a tensor of shape {list(value.shape)}; log its mean, for example")
        if value.device.type == "cpu":
            return float(value.detach().item())
        return value.detach().reshape(()).clone()
    if isinstance(value, np.generic | np.ndarray) and value.size == 1 and value.dtype.kind in "biuf":
        return float(value.item())
    kind = "" if value is None else f"{type(value).__name__} "
    shown = f"an array of shape {list(value.shape)}" if isinstance(value, np.ndarray) else f"{kind}{value!r}"[:60]
    raise InputError(f"the metric {name!r} is not a number: it is {shown}")


def numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Read what was taken: all tensors of a device at once."""
    found = np.empty(len(values))
    devices: dict[Any, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, float):
            found[place] = value
        else:
            devices.setdefault(value.device, []).append(place)
    for places in devices.values():
        torch = sys.modules["torch"]
        own = torch.stack([values[place].to(torch.float32) for place in places])
        found[places] = own.cpu().numpy()
    return found


@dataclass
class Buffer:
    """What was logged and is not stored yet, by metric: steps and values. Of several values at one step, the last one counts."""

    series: dict[str, tuple[list[int], list[Any]]]
    count: int = 0

    def add(self, step: int, name: str, value: Any) -> None:
        """Add a value of a metric."""
        found = self.series.get(name)
        if found is None:
            found = self.series[check_name(name)] = ([], [])
        steps, values = found
        if steps and steps[-1] == step:
            values[-1] = value
        else:
            steps.append(step)
            values.append(value)
            self.count += 1

    def read(self) -> dict[str, Series]:
        """Read everything as numbers."""
        return {name: (np.array(steps, np.int64), numbers(values)) for name, (steps, values) in self.series.items() if steps}

    def clear(self) -> None:
        """Drop everything, but keep the names of the metrics."""
        self.series = {name: ([], []) for name in self.series}
        self.count = 0


def table_of(found: Mapping[str, Series], seed: int) -> pa.Table:
    """Make the rows of metrics: a row for each step at which something was logged; what was not logged there is missing."""
    import pyarrow as pa

    steps = np.unique(np.concatenate([own for own, _ in found.values()])) if found else np.empty(0, np.int64)
    columns: dict[str, Any] = {"step": pa.array(steps, pa.int64()), "seed": pa.array(np.full(len(steps), seed), pa.int64())}
    named = {"total": found.get(LOSS), **{name: own for name, own in found.items() if name != LOSS}}
    for name, own in named.items():
        values, missing = np.full(len(steps), np.nan), np.ones(len(steps), dtype=bool)
        if own is not None:
            places = np.searchsorted(steps, own[0])
            values[places], missing[places] = own[1], False
        columns[name] = pa.array(values, pa.float64(), mask=missing)
    return pa.table(columns)


def series_of(tables: Sequence[pa.Table]) -> dict[str, Series]:
    """Read the metrics of stored rows, in their order. What a later row says of a step counts; not a number is not missing."""
    import pyarrow as pa

    whole = pa.concat_tables(tables, promote_options="default")
    steps = whole.column("step").to_numpy()
    found = {}
    for name in whole.column_names:
        if name in ("step", "seed"):
            continue
        column = whole.column(name).combine_chunks()
        there = ~column.is_null().to_numpy(zero_copy_only=False)
        if not there.any():
            continue
        own, values = steps[there], column.to_numpy(zero_copy_only=False)[there]
        last = np.append(own[1:] != own[:-1], True)
        found[LOSS if name == "total" else name] = (own[last], values[last].astype(np.float64))
    return found
