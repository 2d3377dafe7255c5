"""Groups whose commands are imported only when they are called, so that reading stays quick."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TypeVar

import click

from daemon.words import Words, language_of

C = TypeVar("C", bound=Callable[..., object])

#: For help texts alone: they are needed before the settings are read.
help_words = Words(language_of(os.environ))


class LazyGroup(click.Group):
    """A group that knows its commands as ``name -> "module:function"``; set ``places``."""

    places: Mapping[str, str] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        return [*self.places, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command and return it, or None for a name that is not in the table."""
        place = self.places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, function = place.partition(":")
        command = getattr(import_module(module), function)
        assert isinstance(command, click.Command)  # noqa: S101 - the table names commands
        return command


def json_option(command: C) -> C:
    """Give *command* ``--json``; before the command's name it means the same."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
        if value:
            ctx.find_root().obj.as_json = True

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help=help_words("option.json"),
    )
    return option(command)
