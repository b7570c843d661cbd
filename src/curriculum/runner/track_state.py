"""Turn the states of a training loop into plain JSON and arrays, and back: no pickle, so that loading one executes nothing."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curriculum.errors import InputError, RunError

DOCUMENT = "state.json"
HOLDS = "a checkpoint holds numbers, text, lists, tuples, dictionaries, arrays and tensors"
AS_BITS = {"torch.bfloat16": "int16", "torch.float8_e4m3fn": "uint8", "torch.float8_e5m2": "uint8"}  # types that NumPy does not have


def encode(states: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Turn states by name into arrays, one of which is a JSON document that refers to the others.

    Raises `InputError` for what a checkpoint cannot hold, with its place.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def put(value: Any, place: str) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if np.isfinite(value) else {"float": repr(value)}
        if hasattr(value, "detach") and hasattr(value, "numel"):
            return _tensor(value, arrays)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
            arrays[name := f"array.{len(arrays)}"] = np.asarray(value)
            return {"array": name, "scalar": isinstance(value, np.generic)}
        if isinstance(value, Mapping):
            return {"dict": [[put(key, place), put(item, f"{place}.{key}")] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [put(item, f"{place}.{index}") for index, item in enumerate(value)]}
        raise InputError(f"cannot store {place} in a checkpoint: it is a {type(value).__name__}; {HOLDS}")

    text = json.dumps({name: put(state, name) for name, state in states.items()})
    return {**arrays, DOCUMENT: np.frombuffer(text.encode(), np.uint8)}


def _tensor(value: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    own = value.detach().cpu()
    kind = str(own.dtype)
    if kind in AS_BITS:
        own = own.contiguous().view(getattr(sys.modules["torch"], AS_BITS[kind]))
    # A copy: on the CPU the array would be the tensor's own memory, which training goes on to change.
    arrays[name := f"array.{len(arrays)}"] = np.array(own.numpy())
    return {"tensor": name, "type": kind, "shape": list(value.shape)}


def decode(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Turn arrays back into states by name. Raises `RunError` for what `encode` did not make."""

    def get(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "float" in value:
            return float(value["float"])
        if "tensor" in value:
            import torch

            tensor = torch.from_numpy(np.array(arrays[value["tensor"]]))
            kind = getattr(torch, value["type"].removeprefix("torch."))
            return (tensor.view(kind) if value["type"] in AS_BITS else tensor.to(kind)).reshape(value["shape"])
        if "array" in value:
            own = arrays[value["array"]]
            return own[()] if value["scalar"] else own
        if "dict" in value:
            return {get(key): get(item) for key, item in value["dict"]}
        return tuple(get(item) for item in value["tuple"]) if "tuple" in value else [get(item) for item in value["list"]]

    try:
        document = json.loads(arrays[DOCUMENT].tobytes())
        return {name: get(state) for name, state in document.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"a checkpoint is damaged: its state cannot be read ({type(error).__name__}: {error})") from None


def random_states() -> dict[str, Any]:
    """Read the states of the global random generators of Python, NumPy and, where it is imported, PyTorch."""
    found: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state()}
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put global random generators in the states that `random_states` read."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    if "torch" in states:
        import torch

        torch.set_rng_state(states["torch"])
        if "cuda" in states and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(states["cuda"])
