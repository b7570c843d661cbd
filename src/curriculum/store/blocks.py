"""The blocks of a run: folders inside it, each a complete run of some of its seeds.

Seeds are trained in blocks: a stack here, a process there. Blocks that are finished are joined to the run's own files. While
joined files are moved to their places, `run.json` says so, and what is not moved yet is read where it lies: at any instant a
run is the old one or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from curriculum.errors import InputError
from curriculum.store.files import digest
from curriculum.store.names import BLOCKS, JOINED, is_run

DISTINCT = 2**32  # seeds that PyTorch tells apart


def block_paths(path: Path) -> list[Path]:
    """List the blocks in a run folder, in order of their names."""
    folder = path / BLOCKS
    if not folder.is_dir() or folder.is_symlink():
        return []
    found = [own for own in folder.iterdir() if not own.name.startswith(".") and not own.is_symlink() and own.is_dir() and is_run(own)]
    return sorted(found)


def block_name(seeds: Sequence[int]) -> str:
    """Name a block by its seeds: `3`, `8-15`, or the first, the last and a hash where they are no range."""
    if len(seeds) == 1:
        return str(seeds[0])
    name = f"{min(seeds)}-{max(seeds)}"
    whole = sorted(seeds) == list(range(min(seeds), max(seeds) + 1))
    return name if whole else f"{name}-{digest(repr(sorted(seeds)).encode())[:8]}"


def seeds_text(seeds: Sequence[int]) -> str:
    """Write seeds for people: ranges and single ones, such as `0-7, 12`."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def run_of(path: Path) -> Path | None:
    """Give the run that a folder is a block of; None where it is none."""
    parent = path.parent
    return parent.parent if parent.name == BLOCKS and is_run(parent.parent) else None


def sibling_of(path: Path, manifest: Mapping[str, Any], name: str) -> Path:
    """Find the folder of another run of a stack, by its name in `stack`; for a block that of the block beside it in the other run."""
    if manifest.get("block_of") is None:
        return path.parent / name
    other = path.parent.parent.parent / name
    block = other / BLOCKS / path.name
    return block if is_run(block) else other


def place_of(path: Path, manifest: Mapping[str, Any], name: str) -> Path:
    """Find a stored file: in its place, or where it was joined if it is not moved yet."""
    if manifest.get("moving") and os.path.lexists(waiting := path / JOINED / name):
        return waiting
    return path / name


def check_distinct(holders: Iterable[tuple[str, Sequence[int]]]) -> None:
    """Check that no seed is in two blocks, nor one that PyTorch does not tell from another. Raises `InputError` with the blocks."""
    found: dict[int, tuple[int, str]] = {}
    for name, seeds in holders:
        for seed in seeds:
            other, owner = found.setdefault(seed % DISTINCT, (seed, name))
            if owner == name and other == seed:
                continue
            if other == seed:
                raise InputError(f"seed {seed} is in both {owner} and {name}: remove one of them")
            raise InputError(
                f"the seeds {other} ({owner}) and {seed} ({name}) are equal modulo 2^32: PyTorch makes the same weights of both. "
                "Choose another seed"
            )
