"""What one call of the command line knows: its options, the settings, the language."""

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import click
import msgspec

from config.errors import ConfigError
from config.load import Loaded, load
from config.settings import Settings
from daemon.words import Words, language_of


class Invocation:
    """Handed to every command; the settings are read when they are first asked for.

    Exit codes: 0 fine, 1 the work or check failed, 2 bad usage or settings, 3 ledger in use.
    """

    def __init__(self, config: Path | None, env: Mapping[str, str], *, as_json: bool) -> None:
        self.env = env
        self.as_json = as_json
        self._config = config

    @cached_property
    def loaded(self) -> Loaded:
        """The settings with their origins; raises ConfigError."""
        return self.read_again()

    def read_again(self) -> Loaded:
        """Return the settings as they stand in the file now; raises ConfigError."""
        return load(self._config, self.env)

    @property
    def settings(self) -> Settings:
        """The settings; raises ConfigError."""
        return self.loaded.settings

    @cached_property
    def words(self) -> Words:
        """The catalogue in the language of the settings, else of the locale."""
        try:
            return Words(language_of(self.env, self.settings.language))
        except ConfigError as error:  # told by who needs the settings; words are needed to do so
            return words_of_problems(error, self.env)

    def say(self, key: str, **values: object) -> None:
        """Print a sentence of the catalogue, to stderr when stdout must hold JSON alone."""
        click.echo(self.words(key, **values), err=self.as_json)

    def show(self, text: str) -> None:
        """Print *text* to stdout."""
        click.echo(text)

    def answer(self, document: object) -> None:
        """Print *document* (structs, tables, lists) as the one JSON document on stdout."""
        encoded = msgspec.json.encode(document)
        if sys.stdout.isatty():
            encoded = msgspec.json.format(encoded, indent=2)
        click.echo(encoded)


def words_of_problems(error: ConfigError, env: Mapping[str, str]) -> Words:
    """Return the catalogue in the language of settings that cannot be used, else of the locale."""
    wanted = error.readable.language if error.readable is not None else "auto"
    return Words(language_of(env, wanted))


pass_invocation = click.make_pass_decorator(Invocation)
