"""`config show` and `config example`."""

import click

from config.builtin import EXAMPLES
from config.show import as_toml, effective
from daemon.cli.commands import help_words, json_option
from daemon.cli.invocation import Invocation, pass_invocation


@click.group(help=help_words("help.config"))
def config() -> None:
    """Show settings."""


@config.command(help=help_words("help.config.show"))
@json_option
@pass_invocation
def show(invocation: Invocation) -> None:
    """Print every setting in effect with its origin; secrets as ``***``."""
    loaded = invocation.loaded
    if invocation.as_json:
        settings = [
            {"key": entry.place, "value": entry.value, "origin": entry.origin}
            for entry in effective(loaded)
        ]
        invocation.answer({"file": loaded.file and str(loaded.file), "settings": settings})
    else:
        invocation.show(as_toml(loaded).rstrip())


@config.command(help=help_words("help.config.example"))
@pass_invocation
def example(invocation: Invocation) -> None:
    """Print the example file."""
    invocation.show((EXAMPLES / "rowkeeper.toml").read_text("utf-8").rstrip())
