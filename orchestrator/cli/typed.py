"""Reproduces command lines as they were typed, for messages and for clusters."""

from __future__ import annotations

import shlex

import click

_ARGUMENTS = "orchestrator.arguments"
_ALL_ARGUMENTS = "orchestrator.all_arguments"


def examples(*lines: str) -> str:
    """Write the examples that end a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Command(click.Command):
    """A command that remembers how it was typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments before click parses them."""
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group that remembers how it was typed, as do its commands."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the arguments before click parses them."""
        ctx.meta.setdefault(_ALL_ARGUMENTS, tuple(args))
        return super().parse_args(ctx, args)


def command_line(context: click.Context) -> str:
    """Return the whole command line."""
    return shlex.join(["orch", *context.meta[_ALL_ARGUMENTS]])


def arguments_for(context: click.Context, **replacements: str | None) -> list[str]:
    """Return the arguments of a command, without `orch`, for another process to run.

    Args:
        context: context of the command.
        replacements: values that replace typed ones, by parameter; None omits the parameter.
    """
    parser = context.command.make_parser(context)
    typed, _, _ = parser.parse_args(list(context.meta[_ARGUMENTS]))
    arguments = [str(context.info_name)]
    for param in context.command.get_params(context):
        if param.name not in typed or not isinstance(param, click.Argument | click.Option):
            continue
        value = replacements.get(param.name, typed[param.name])
        if isinstance(param, click.Argument):
            arguments += [value] if isinstance(value, str) else []
        elif value is not None and param.is_flag:
            arguments.append(param.opts[-1])
        elif value is not None:
            for each in value if param.multiple else [value]:
                arguments += [param.opts[-1], each]
    return arguments
