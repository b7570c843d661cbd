"""Read a config: YAML to a frozen, validated `Config`, every mistake with its line and column."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from curriculum.config.describe import allowed_keys
from curriculum.config.settings import OPTIMIZERS, Config, Settings, schema_of
from curriculum.errors import ConfigError, InputError, Problem, nearest, unknown

NODES_ALLOWED = 10_000  # aliases can make a small file unfold into a huge one
SettingsOf = Callable[[str], type[Settings]]


def load(
    text: str, source: str, settings_of: SettingsOf, tasks: Sequence[str], overrides: Iterable[str] = (), apart: Collection[str] = ()
) -> Config[Any, Any]:
    """Read a config from YAML text, with overrides `a.b=value`. Settings whose names are in `apart` are not the config's.

    `settings_of` gives the settings of a task by its name, `tasks` are the names of those that are installed. Raises
    `ConfigError` with every mistake that could be found, each at its place.
    """
    tree = _parse_yaml(text, source)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(source, 1, 1, f"a config must be a mapping of settings, not {_kind(tree)}")])
    data: dict[str, Any] = _plain(tree, source)
    origins = _apply(data, overrides)
    if "arms" in data and "arms" not in apart:
        message = "this is an experiment, not a config: run it with curriculum experiment"
        raise ConfigError([_Validator(source, tree, origins).problem(("arms",), message)])
    return _Validator(source, tree, origins).validate({key: value for key, value in data.items() if key not in apart}, settings_of, tasks)


Schema = TypeVar("Schema", bound=Settings)


def load_as(schema: type[Schema], text: str, source: str, overrides: Iterable[str] = (), apart: Collection[str] = ()) -> Schema:
    """Read any file of settings from YAML text, with overrides `a.b=value`. Settings whose names are in `apart` are left out.

    Raises `ConfigError` with every mistake that could be found, each at its place.
    """
    tree = _parse_yaml(text, source)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(source, 1, 1, f"this file must be a mapping of settings, not {_kind(tree)}")])
    data: dict[str, Any] = _plain(tree, source)
    if "task" in data and "task" not in schema.model_fields and "arms" not in data:
        raise ConfigError([Problem(source, 1, 1, "this is a config, not an experiment: train it with curriculum train --config")])
    origins = _apply(data, overrides)
    return _Validator(source, tree, origins).check(schema, {key: value for key, value in data.items() if key not in apart})


def names_in(text: str, source: str) -> list[str]:
    """List the settings at the top of a file. Raises `ConfigError` where it is not YAML."""
    tree = _parse_yaml(text, source)
    return list(map(str, tree)) if isinstance(tree, Mapping) else []


def locate(text: str, source: str, overrides: Iterable[str], path: tuple[str | int, ...], message: str) -> Problem:
    """Place a message at a path of a config that was read before, or at the override that set it."""
    tree = _parse_yaml(text, source)
    origins = _apply(_plain(tree, source), overrides)
    return _Validator(source, tree, origins).problem(path, message)


def write(config: Config[Any, Any]) -> str:
    """Write a config as YAML text, which `load` reads back as an equal config."""
    import io

    out = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(config.dump(), out)
    return out.getvalue()


def with_seeds(text: str, source: str, seeds: Sequence[int]) -> str:
    """Replace the seeds in the YAML text of a config. Raises `ConfigError` where it is not YAML."""
    import io

    tree = _parse_yaml(text, source)
    if isinstance(tree, dict) and "seeds" in tree:
        tree["seeds"] = list(seeds)
    out = io.StringIO()
    YAML().dump(tree, out)
    return out.getvalue()


def flat_settings(text: str, source: str) -> dict[str, Any]:
    """Read the settings of a YAML text by their dotted names; a list has one name for each item. Raises `ConfigError` as above."""
    found: dict[str, Any] = {}

    def put(value: Any, name: str) -> None:
        if isinstance(value, dict | list) and value:
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                put(item, f"{name}.{key}".removeprefix("."))
        else:
            found[name] = value

    put(_plain(_parse_yaml(text, source), source), "")
    return found


def _parse_yaml(text: str, source: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name that is anchored twice is no mistake
            return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = " ".join(str(error.problem or error.context or "cannot be read").split())
        raise ConfigError([Problem(source, line, column, f"this is not valid YAML: {message}")]) from None
    except Exception as error:
        # Odd tags make the parser raise whatever its insides do; to the person it is one mistake.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError([Problem(source, 0, 0, f"this is not valid YAML: {reason}")]) from None


def _plain(node: Any, source: str) -> Any:
    """Copy a parsed tree into dicts and lists, refusing one that unfolds without end."""
    budget = NODES_ALLOWED

    def copy(value: Any, depth: int) -> Any:
        nonlocal budget
        budget -= 1
        if budget < 0 or depth > 50:
            raise ConfigError([Problem(source, 0, 0, f"the config is too large: more than {NODES_ALLOWED:,} values, or nested too deeply")])
        if isinstance(value, Mapping):
            if len({str(key) for key in value}) < len(value):
                raise ConfigError([Problem(source, 0, 0, f"duplicate keys: two of {', '.join(map(repr, value))} are the same name")])
            return {str(key): copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, ScalarBoolean):
            return bool(value)
        if isinstance(value, list):
            return [copy(item, depth + 1) for item in value]
        return value

    return copy(node, 0)


def _apply(data: dict[str, Any], overrides: Iterable[str]) -> dict[tuple[str, ...], str]:
    """Write overrides into `data`; return which paths came from which."""
    origins: dict[tuple[str, ...], str] = {}
    for override in overrides:
        origin = f"--set {override}"
        path, equals, value = override.partition("=")
        keys = tuple(key.strip() for key in path.split("."))
        if not equals or not all(keys):
            raise ConfigError([Problem(origin, 0, 0, "cannot read the override: write it as --set a.b=value")])
        node = data
        for key in keys[:-1]:
            if node.get(key) is None:
                node[key] = {}
            child = node[key]
            if not isinstance(child, dict):
                raise ConfigError([Problem(origin, 0, 0, f"{key!r} is {_kind(child)} and has no settings of its own")])
            node = child
        node[keys[-1]] = _plain(_parse_yaml(value, origin), origin)
        origins[keys] = origin
    return origins


class _Validator:
    def __init__(self, source: str, tree: Any, origins: Mapping[tuple[str, ...], str]):
        self.source = source
        self.tree = tree
        self.origins = origins

    def validate(self, data: dict[str, Any], settings_of: SettingsOf, tasks: Sequence[str]) -> Config[Any, Any]:
        task = data.get("task")
        name = task.get("name") if isinstance(task, dict) else None
        if not isinstance(name, str):
            at = ("task", "name") if isinstance(task, dict) else ("task",)
            wanted = task if isinstance(task, str) and task in tasks else tasks[0]
            message = f"the task has no name: write task: {{name: {wanted}}} (allowed: {', '.join(tasks)})"
            raise ConfigError([self.problem(at, message)])
        try:
            settings = settings_of(name)
        except InputError as error:
            raise ConfigError([self.problem(("task", "name"), str(error))]) from error
        optimizer = data.get("optimizer")
        own = optimizer.get("name", "adam") if isinstance(optimizer, dict) else "adam"
        if own not in OPTIMIZERS:
            raise ConfigError([self.problem(("optimizer", "name"), unknown("optimizer", str(own), list(OPTIMIZERS)))])
        return self.check(schema_of(settings, own), data)

    def check(self, schema: type[Schema], data: dict[str, Any]) -> Schema:
        """Make the settings of a schema from plain values."""
        try:
            return schema.model_validate_json(json.dumps(data, default=str))
        except ValidationError as error:
            found = [self._explain(schema, dict(item)) for item in error.errors(include_url=False)]
            raise ConfigError(found) from None
        except ValueError as error:
            raise ConfigError([Problem(self.source, 0, 0, f"cannot read a number: {str(error)[:100]}")]) from None

    def problem(self, path: tuple[str | int, ...], message: str) -> Problem:
        """Place a message at a path of the config, or at the override that set it."""
        names = tuple(str(part) for part in path)
        for length in range(len(names), 0, -1):
            origin = self.origins.get(names[:length])
            if origin is not None:
                return Problem(origin, 0, 0, message)
        if names:
            for keys, origin in self.origins.items():
                if keys[: len(names)] == names and not self._in_file(names):
                    return Problem(origin, 0, 0, message)
        line, column = 1, 1
        node = self.tree
        for part in path:
            try:
                if isinstance(part, str):
                    part = next(key for key in node if str(key) == part)
                    line, column = (mark + 1 for mark in node.lc.key(part))
                else:
                    line, column = (mark + 1 for mark in node.lc.item(part))
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError, StopIteration):
                break
        return Problem(self.source, line, column, message)

    def _in_file(self, names: tuple[str, ...]) -> bool:
        node = self.tree
        for name in names:
            if not isinstance(node, Mapping) or name not in map(str, node):
                return False
            node = next(value for key, value in node.items() if str(key) == name)
        return not isinstance(node, Mapping)

    def _explain(self, schema: type[BaseModel], error: dict[str, Any]) -> Problem:
        path = tuple(error["loc"])
        name = ".".join(str(part) for part in path)
        if error["type"] == "extra_forbidden":
            allowed = allowed_keys(schema, path[:-1])
            inside = f" in {'.'.join(map(str, path[:-1]))!r}" if path[:-1] else ""
            return self.problem(path, unknown("setting", str(path[-1]), allowed) + inside)
        if error["type"] == "missing":
            return self.problem(path[:-1], f"the setting {name!r} is missing")
        message = str(error["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
        message = message.replace("a valid array", "a list").replace("an object", "a mapping").replace("Value should", "it should")
        read = "empty" if error["input"] is None else repr(error["input"])
        read = read if len(read) <= 60 else read[:57] + "..."
        guess = None
        if error["type"] == "literal_error" and isinstance(error["input"], str):
            expected = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            guess = nearest(error["input"], expected) if len(expected) > 1 else None
        hint = f", did you mean {guess!r}?" if guess else ""
        return self.problem(path, f"{name} cannot be {read}: {message}{hint}")


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, list):
        return "a list"
    return f"the value {str(value)[:40]!r}"
