"""Commands as they were typed, from what click makes of their words."""

from __future__ import annotations

import shlex

import click

_WORDS = "orchestrator.words"
_ALL_WORDS = "orchestrator.all_words"


class Command(click.Command):
    """A command that remembers how it was typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words before click takes them apart."""
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group of commands that remember how they were typed."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words before click takes them apart."""
        ctx.meta.setdefault(_ALL_WORDS, tuple(args))
        return super().parse_args(ctx, args)


def command_line(context: click.Context) -> str:
    """Write the whole command line."""
    return shlex.join(["orch", *context.meta[_ALL_WORDS]])


def words_for(context: click.Context, **instead: str | None) -> list[str]:
    """Write the words of a command, without `orch`, for another process to run.

    Args:
        context: of the command.
        instead: by the name of a parameter, what to write in place of what was typed; None
            leaves it out.
    """
    parser = context.command.make_parser(context)
    given, _, _ = parser.parse_args(list(context.meta[_WORDS]))
    words = [str(context.info_name)]
    for param in context.command.get_params(context):
        if param.name not in given:
            continue
        value = instead.get(param.name, given[param.name])
        if value is None or (isinstance(param, click.Argument) and not isinstance(value, str)):
            continue
        if isinstance(param, click.Option):
            words.append(param.opts[-1])
        if not (isinstance(param, click.Option) and param.is_flag):
            words.append(value)
    return words
