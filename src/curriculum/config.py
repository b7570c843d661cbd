"""Read a config: YAML to a frozen, validated `Config`, every mistake with its line and column.

What a task can be told is the task's own business: its settings are a pydantic model that the
caller hands over, so that this module knows no task.
"""

from __future__ import annotations

import json
import re
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from curriculum.errors import ConfigError, Problem, nearest, unknown

NODES_ALLOWED = 10_000  # aliases can make a small file unfold into a huge one
SEEDS_ALLOWED = 4096


class Settings(BaseModel):
    """The base of every group of settings: frozen, typed strictly, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
            raise ValueError("write one seed as 3, a range as 0:32 (0 to 31), or a list as [0, 3, 5]")
        if int(match[2]) - int(match[1]) > SEEDS_ALLOWED:
            raise ValueError(f"at most {SEEDS_ALLOWED} seeds train together")
        return tuple(range(int(match[1]), int(match[2])))
    if isinstance(value, list):
        if len(set(map(repr, value))) < len(value):
            raise ValueError("each seed can be named once")
        return tuple(value)
    return value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**63)], ...],
    BeforeValidator(_read_seeds),
    Field(min_length=1, max_length=SEEDS_ALLOWED),
]


class Adam(Settings):
    """The optimizer. Its learning rate is the sheet's column `lr`."""

    name: Literal["adam"] = Field("adam", description="the optimizer's name")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="decay of the running means of the gradient and of its square"
    )
    eps: float = Field(1e-8, gt=0, description="added to the root of the mean square")


class Recording(Settings):
    """What a run stores."""

    snapshot_every: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="steps from one snapshot of the parameters to the next; by default every step of one seed, "
        "and of more seeds the steps that the video shows",
    )
    checkpoint_every: int = Field(20_000, ge=1, description="steps from one checkpoint to the next, from which a run can go on, or")
    checkpoint_seconds: float = Field(30.0, gt=0, description="seconds from one to the next, whatever comes first")


class HookSetting(Settings):
    """A hook of the user's own, called while the run goes on."""

    on: str = Field(description="the event: phase-start, action:NAME, pre-step, step-metrics, phase-end or run-end")
    call: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="what is called, as package.module:function")


TaskSettings = TypeVar("TaskSettings", bound=Settings)


class Config(Settings, Generic[TaskSettings]):
    """What is trained, and how; the dopesheet says the rest."""

    task: TaskSettings = Field(description="the task, by name, and its settings")
    seeds: Seeds = Field((0,), description="seeds to train together: 0, 0:32 or [0, 3, 5]")
    optimizer: Adam = Field(default_factory=Adam, description="how the parameters are updated")
    record: Recording = Field(default_factory=Recording, description="what the run stores")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the models are trained; nothing needs a GPU")
    threads: int = Field(1, ge=1, le=256, description="threads of the training; small models are fastest with 1")
    hooks: tuple[HookSetting, ...] = Field((), description="hooks of your own")

    def dump(self) -> dict[str, Any]:
        """Turn the config into plain values, as YAML and JSON hold them."""
        plain: dict[str, Any] = json.loads(self.model_dump_json(by_alias=True))
        return plain


def schema_of(settings: type[Settings]) -> type[Config[Any]]:
    """Give the config's schema for a task that takes these settings."""
    schema: type[Config[Any]] = Config.__class_getitem__(settings)  # type: ignore[assignment]
    return schema


SettingsOf = Callable[[str], type[Settings]]


def load(text: str, source: str, settings_of: SettingsOf, tasks: Sequence[str], overrides: Iterable[str] = ()) -> Config[Any]:
    """Read a config from YAML text, with overrides `a.b=value`.

    `settings_of` gives the settings of a task by its name, `tasks` are the names there are. Raises
    `ConfigError` with every mistake that could be found, each at its place.
    """
    tree = _parse_yaml(text, source)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(source, 1, 1, f"a config is a mapping of settings, this is {_kind(tree)}")])
    data: dict[str, Any] = _plain(tree, source)
    origins = _apply(data, overrides)
    return _Validator(source, tree, origins).validate(data, settings_of, tasks)


Schema = TypeVar("Schema", bound=Settings)


def load_as(schema: type[Schema], text: str, source: str, overrides: Iterable[str] = ()) -> Schema:
    """Read any file of settings from YAML text, with overrides `a.b=value`.

    Raises `ConfigError` with every mistake that could be found, each at its place.
    """
    tree = _parse_yaml(text, source)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(source, 1, 1, f"this file is a mapping of settings, not {_kind(tree)}")])
    data: dict[str, Any] = _plain(tree, source)
    if "task" in data and "task" not in schema.model_fields:
        raise ConfigError([Problem(source, 1, 1, "this is a config, not an experiment: train it with curriculum train --config")])
    origins = _apply(data, overrides)
    return _Validator(source, tree, origins).check(schema, data)


def locate(text: str, source: str, overrides: Iterable[str], path: tuple[str | int, ...], message: str) -> Problem:
    """Place a message at a path of a config that was read before, or at the override that set it."""
    tree = _parse_yaml(text, source)
    origins = _apply(_plain(tree, source), overrides)
    return _Validator(source, tree, origins).problem(path, message)


def write(config: Config[Any]) -> str:
    """Write a config as YAML text, which `load` reads back as an equal config."""
    import io

    out = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(config.dump(), out)
    return out.getvalue()


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
            raise ConfigError([Problem(origin, 0, 0, "cannot read the override: write --set a.b=value")])
        node = data
        for key in keys[:-1]:
            if node.get(key) is None:
                node[key] = {}
            child = node[key]
            if not isinstance(child, dict):
                raise ConfigError([Problem(origin, 0, 0, f"{key!r} is {_kind(child)}, it has no settings inside")])
            node = child
        node[keys[-1]] = _plain(_parse_yaml(value, origin), origin)
        origins[keys] = origin
    return origins


class _Validator:
    def __init__(self, source: str, tree: Any, origins: Mapping[tuple[str, ...], str]):
        self.source = source
        self.tree = tree
        self.origins = origins

    def validate(self, data: dict[str, Any], settings_of: SettingsOf, tasks: Sequence[str]) -> Config[Any]:
        task = data.get("task")
        if task is None and "arms" in data:
            raise ConfigError([self.problem(("arms",), "this is an experiment, not a config: run it with curriculum experiment")])
        name = task.get("name") if isinstance(task, dict) else None
        if not isinstance(name, str):
            at = ("task", "name") if isinstance(task, dict) else ("task",)
            wanted = task if isinstance(task, str) and task in tasks else tasks[0]
            message = f"the task has no name: write task: {{name: {wanted}}} (allowed: {', '.join(tasks)})"
            raise ConfigError([self.problem(at, message)])
        if name not in tasks:
            raise ConfigError([self.problem(("task", "name"), unknown("task", name, tasks))])
        return self.check(schema_of(settings_of(name)), data)

    def check(self, schema: type[Schema], data: dict[str, Any]) -> Schema:
        """Make the settings of a schema from plain values."""
        try:
            return schema.model_validate_json(json.dumps(data, default=str))
        except ValidationError as error:
            found = [self._explain(schema, dict(item)) for item in error.errors(include_url=False)]
            raise ConfigError(found) from None
        except ValueError as error:
            raise ConfigError([Problem(self.source, 0, 0, f"a number in it cannot be read: {str(error)[:100]}")]) from None

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


def allowed_keys(schema: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """List the keys that a schema allows at a path."""
    annotation: Any = schema
    for part in path:
        model = annotation if isinstance(annotation, type) and not get_args(annotation) else None
        if model is not None and issubclass(model, BaseModel):
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            annotation = fields[str(part)].annotation if part in fields else None
        else:
            # Inside a mapping or list the part is a key or a place, and the last argument what stands there.
            annotation = next((argument for argument in reversed(get_args(annotation)) if argument is not Ellipsis), None)
    inner = _model_in(annotation)
    return [field.alias or name for name, field in inner.model_fields.items()] if inner else []


def describe(schema: type[BaseModel], prefix: str = "") -> list[tuple[str, str, Any, str]]:
    """List every setting of a schema: its path, type, default (None where there is none) and description."""
    rows: list[tuple[str, str, Any, str]] = []
    for name, field in schema.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model_in(field.annotation)
        if inner is not None and not get_args(field.annotation):
            rows += describe(inner, f"{path}.")
            continue
        default = None if field.is_required() else json.loads(json.dumps(field.get_default(call_default_factory=True), default=_as_plain))
        rows.append((path, _type_name(field.annotation), default, field.description or ""))
        if inner is not None:
            origin = get_origin(field.annotation)
            # A mapping's keys are the user's own, a list's are numbers; a group that may be missing has neither.
            key = "NAME." if origin is dict else "" if origin in (Union, types.UnionType) else "N."
            rows += describe(inner, f"{path}.{key}")
    return rows


def _as_plain(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else str(value)


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(_type_name(argument) for argument in arguments if argument is not type(None))
    if origin in (tuple, list):
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return getattr(annotation, "__name__", str(annotation))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside an annotation such as `dict[str, Model]` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, dict, tuple, list, Annotated):
        for argument in get_args(annotation):
            found = _model_in(argument)
            if found is not None:
                return found
    return None


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, list):
        return "a list"
    return f"the value {str(value)[:40]!r}"
