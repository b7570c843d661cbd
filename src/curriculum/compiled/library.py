"""Call the library of a loop. Other threads go on meanwhile, which those of PyTorch's own loader do not."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from curriculum.errors import CurriculumError

_PREFIX = "AOTInductorModelContainer"
_get = ctypes.pythonapi.PyCapsule_GetPointer
_get.restype, _get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Library:
    """A compiled loop, by the C interface of PyTorch's ahead-of-time compiler."""

    def __init__(self, path: Path):
        """Load a library. Raises `OSError` where it cannot be loaded here."""
        self.path = path
        self._library = ctypes.CDLL(str(path))
        self._handle = ctypes.c_void_p()
        self._call("CreateWithDevice", ctypes.byref(self._handle), ctypes.c_size_t(1), b"cpu", None)
        self._outputs = self._count("GetNumOutputs")
        self._inputs = self._count("GetNumInputs")

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Call it with its inputs; give its outputs. Raises `CurriculumError` where it fails."""
        if len(inputs) != self._inputs:
            raise CurriculumError(f"the compiled steps {self.path} take {self._inputs} tensors, not {len(inputs)}: remove the file")
        # The library takes over a handle of each input, and gives a handle of each output.
        handles = [_get(one, None) for one in torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))]
        given, found = (ctypes.c_void_p * len(handles))(*handles), (ctypes.c_void_p * self._outputs)()
        self._call("Run", self._handle, given, ctypes.c_size_t(len(handles)), found, ctypes.c_size_t(self._outputs), None, None)
        outputs: list[Tensor] = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs([_new(one, None, None) for one in found])
        return outputs

    def _call(self, name: str, *args: Any) -> None:
        if getattr(self._library, _PREFIX + name)(*args) != 0:
            raise CurriculumError(f"the compiled steps {self.path} failed: train with --compile off")

    def _count(self, name: str) -> int:
        found = ctypes.c_size_t()
        self._call(name, self._handle, ctypes.byref(found))
        return found.value
