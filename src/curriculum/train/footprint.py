"""How much memory a training step takes: so much that only some models can be computed at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the memory of the tensors that operations make; `most` is the largest number of bytes held at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._held = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {value.untyped_storage()._cdata for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        found = function(*args, **(kwargs or {}))
        for value in tree_leaves(found):
            if isinstance(value, Tensor) and value.untyped_storage()._cdata not in given | self._known:
                self._hold(value)
        return found

    def _hold(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        place, size = storage._cdata, storage.nbytes()
        self._known.add(place)
        self._held += size
        self.most = max(self.most, self._held)
        weakref.finalize(storage, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._held -= size


def peak_bytes(function: Callable[[], object]) -> int:
    """Count the bytes of the tensors that a function holds at most at a time, those apart that it is given."""
    peak = _Peak()
    with peak:
        function()
    return peak.most
