"""Describe a schema of settings, as pydantic's JSON schema has it: what can be set, of which type, with which default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

Node = Mapping[str, Any]  # of a JSON schema


def allowed_keys(schema: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """List the keys that a schema allows at a path; none where the keys are the user's own."""
    document = schema.model_json_schema()
    node: Node = document
    for part in path:
        node = _inside(document, _resolved(document, node), part)
    return list(_resolved(document, node).get("properties", {}))


def describe(schema: type[BaseModel]) -> list[tuple[str, str, Any, str]]:
    """List every setting of a schema: its path, type, default (None where there is none) and description.

    In a path, NAME stands for a key of the user's own, and N for a place in a list.
    """
    document = schema.model_json_schema()
    return list(_rows(document, document, ""))


def _rows(document: Node, node: Node, prefix: str) -> Iterator[tuple[str, str, Any, str]]:
    for name, own in node.get("properties", {}).items():
        path, inner = f"{prefix}{name}", _resolved(document, own)
        if "properties" in inner and "anyOf" not in own:
            yield from _rows(document, inner, f"{path}.")
            continue
        yield path, _type_name(document, own), own.get("default"), own.get("description", "")
        for key, child in (("", inner), ("NAME.", inner.get("additionalProperties")), ("N.", inner.get("items"))):
            if isinstance(child, Mapping):
                yield from _rows(document, _resolved(document, child), f"{path}.{key}")


def _resolved(document: Node, node: Node) -> Node:
    """Follow a reference, and pass over the null of what may be missing."""
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return _resolved(document, options[0])
    if "$ref" in node:
        found: Node = document["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


def _inside(document: Node, node: Node, part: str | int) -> Node:
    child = node.get("properties", {}).get(part) or node.get("items") or node.get("additionalProperties")
    return child if isinstance(child, Mapping) else {}


def _type_name(document: Node, node: Node) -> str:
    own = _resolved(document, node)
    if "const" in own:
        return str(own["const"])
    if "enum" in own:
        return " | ".join(map(str, own["enum"]))
    if own.get("type") == "array":
        items = own.get("items") or own["prefixItems"][0]
        return f"list of {_type_name(document, items)}"
    return "mapping" if own.get("type") == "object" else str(own.get("type", "any"))
