"""What a task's losses are computed from: the samples of a step, and what the sheet says at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from curriculum.errors import InputError, unknown

Tensors = Mapping[str, Tensor]
REAL = "real"  # in a batch, marks the samples that are not there only to fill it up
INPUTS, LABELS = "inputs", "labels"


class SheetRow(Mapping[str, Tensor]):
    """The values of the sheet's columns at a step: scalars by name, or `[S]` for a stack.

    A column that the sheet does not have has the default that its task declares. `undefined` are the declared columns that have
    neither. Raises `InputError` for these, and with the nearest name for a column that there is not.
    """

    def __init__(self, names: tuple[str, ...], values: Tensor, undefined: tuple[str, ...] = ()):
        self.names = names
        self.values_of_all = values
        self.undefined = undefined

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            if name in self.undefined:
                raise InputError(
                    f"the sheet has no column {name!r}: add it, or declare a default as the third number of its entry in `controls`"
                )
            raise InputError(unknown("column", str(name), [*self.names, *self.undefined]))
        return self.values_of_all[..., self.names.index(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def with_values(self, values: Tensor) -> SheetRow:
        """Give the same columns with other values `[..., K]`."""
        return SheetRow(self.names, values, self.undefined)


@dataclass(frozen=True)
class Batch:
    """One step's samples for one model: tensors by name, each `[B, ...]`, or `[S, B, ...]` for a stack.

    `sheet` holds the value of each column at this step, `references` what actions have captured, and `active` the terms that count.
    `on` has those of the task's switches that are on for any model trained together, each with the rows of the stack for which it is.
    `batch["name"]` is one of the tensors; where batches of different size train together, `batch["real"]` `[B]` marks the samples
    that count.
    """

    tensors: Tensors
    sheet: SheetRow
    references: Tensors = field(default_factory=dict)
    active: tuple[str, ...] = ()
    on: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise InputError(unknown("tensor of the batch", str(name), list(self.tensors)))
        return self.tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    @property
    def inputs(self) -> Tensor:
        """The samples `[B, ...]` of the training data."""
        return self[INPUTS]

    @property
    def labels(self) -> Tensor:
        """The labels `[B, ...]` of the samples."""
        return self[LABELS]
