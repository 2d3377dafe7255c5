"""Click's own words, in help and on wrong usage, in the reader's language."""

import os
from collections.abc import Iterable

import click

from daemon.cli.commands import help_words
from daemon.cli.invocation import Invocation
from daemon.words import Words
from daemon.words.retelling import USAGE, in_language

#: What means yes.
_YES = frozenset({"y", "yes", "是"})


class Frame(click.HelpFormatter):
    """A help text whose usage line and headings are in words too; set ``words``."""

    words = help_words

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        for piece in ("[OPTIONS]", "COMMAND", "[ARGS]..."):
            args = args.replace(piece, self._told(piece))
        usage = self._told("Usage:")
        super().write_usage(prog, args, usage if usage.endswith("：") else f"{usage} ")

    def write_heading(self, heading: str) -> None:
        """Write the heading of a part."""
        told = self.words("usage.heading", name=self._told(heading))
        self.write(f"{'':>{self.current_indent}}{told}\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write options or commands, each with what it does."""
        told = [(name, self._told(what)) for name, what in rows]
        super().write_dl(told, col_max, col_spacing)

    def _told(self, text: str) -> str:
        return in_language(text, self.words.language, USAGE)


def words_of(ctx: click.Context | None) -> Words:
    """Return the words of the settings that a call names, before the root has read them too."""
    if ctx is None:
        return help_words
    root = ctx.find_root()
    if isinstance(root.obj, Invocation):
        return root.obj.words
    return Invocation(root.params.get("config"), os.environ, as_json=False).words


def confirm(question: str, words: Words) -> None:
    """Ask on stderr; raises Abort for whatever is no yes, in whichever language."""
    asked = words("usage.yes_or_no", question=question)
    given = click.prompt(asked, default="", show_default=False, prompt_suffix=" ", err=True)
    if given.strip().lower() not in _YES:
        raise click.Abort


def tell(error: click.ClickException, words: Words) -> None:
    """Print on stderr what was wrong with a call, and how it is meant."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()  # the help alone, as `--help` prints it
        return
    if isinstance(error, click.UsageError) and (ctx := error.ctx) is not None:
        frame = Frame()
        frame.words = words
        ctx.command.format_usage(ctx, frame)
        click.echo(frame.getvalue().rstrip("\n"), err=True)
        names = ctx.command.get_help_option_names(ctx)
        values = {"command": ctx.command_path, "option": max(names, key=len)}
        click.echo(words("usage.try", **values) + "\n", err=True)
    told = in_language(error.format_message(), words.language, USAGE)
    click.echo(words("usage.error", message=told), err=True)
