"""`curriculum config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from curriculum.cli.completion import config_names
from curriculum.cli.guard import AsJson, guarded
from curriculum.cli.options import HELP, Overrides
from curriculum.console import put, put_json, put_table, say
from curriculum.find_file import DEFAULT_CONFIG

if TYPE_CHECKING:
    pass

CONFIG_HELP = """Show a config, or list the settings.

Examples:

  curriculum config show ex-1.6

  curriculum config schema
"""

config = typer.Typer(no_args_is_help=True, help=CONFIG_HELP, context_settings=HELP, rich_markup_mode=None)
ConfigName = Annotated[
    str,
    typer.Argument(metavar="CONFIG", autocompletion=config_names, help="A path, or the name of a config in configs/ or of a shipped one."),
]


@config.command("show")
@guarded
def show_config(config: ConfigName = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show a config with all defaults filled in.

    Examples:

      curriculum config show

      curriculum config show ex-1.6 --set task.hidden=32
    """
    from curriculum.config.yaml import write
    from curriculum.runner.inputs import load_config

    loaded = load_config(config, overrides or ())
    if as_json:
        put_json(loaded.dump())
    else:
        put(write(loaded).rstrip())


@config.command()
@guarded
def schema(
    task: Annotated[
        str | None, typer.Argument(metavar="TASK", help="The task whose settings are listed. Default: the task of the default config.")
    ] = None,
    optimizer: Annotated[str, typer.Option(metavar="NAME", help="The optimizer whose settings are listed: adam, adamw or sgd.")] = "adam",
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON schema, for use in editors.")] = False,
) -> None:
    """List every setting with its type and default.

    Examples:

      curriculum config schema

      curriculum config schema --json > config.schema.json
    """
    from curriculum.config.describe import describe
    from curriculum.config.settings import OPTIMIZERS, schema_of
    from curriculum.errors import InputError, unknown
    from curriculum.runner.inputs import load_config
    from curriculum.train.make import settings_of

    if optimizer not in OPTIMIZERS:
        raise InputError(unknown("optimizer", optimizer, list(OPTIMIZERS)))
    full = schema_of(settings_of(task if task is not None else load_config(DEFAULT_CONFIG).task.name), optimizer)
    if as_json:
        put_json(full.model_json_schema())
        return
    rows = [[name, kind, "" if default is None else json.dumps(default), text] for name, kind, default, text in describe(full)]
    put_table(["setting", "type", "default", "description"], rows)
    say("Change a setting with --set, as in: curriculum train --set optimizer.eps=1e-7")
