"""Declares commands, options and command groups; the module of a command is imported when the command is called."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, TypeVar

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])

OFTEN = "2"
"""Default of --watch, in seconds."""
_SECONDS = re.compile(r"\d+(\.\d+)?")

CONNECTION = frozenset({"url", "token", "token_file", "ca_file", "config"})
"""Names of the options that say how to reach a running bridge."""


def option(
    flags: str,
    metavar: str | None,
    help: str,  # noqa: A002 - Typer's word
    kind: Any = str,
    *,
    name: str = "",
    default: Any = None,
    **more: Any,
) -> inspect.Parameter:
    """Returns an option as a parameter of a command, named after its first flag unless `name` is given."""
    names = flags.split()
    told: Any = Option(default, *names, metavar=metavar, help=help, **more)
    return inspect.Parameter(
        name or names[0].lstrip("-").replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=told,
        annotation=kind | None if default is None else kind,
    )


def flag(flags: str, help: str, *, name: str = "") -> inspect.Parameter:  # noqa: A002 - Typer's word
    """Returns a boolean option without a value."""
    return option(flags, None, help, bool, name=name, default=False)


class Later(NamedTuple):
    """A command whose module is not imported yet: where it is (`module:app`), and its short help.

    The short help is also the help of a group; a command repeats it in the first line of its docstring.
    """

    where: str
    help: str


def _in_sections(command: Any, ctx: Any, formatter: Any) -> None:
    """Writes arguments and options; those that say how to reach a running bridge get a section of their own."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Connection": []}
    parameters = command.get_params(ctx)
    remote = {parameter.name for parameter in parameters} >= CONNECTION
    for parameter in parameters:
        if (told := parameter.get_help_record(ctx)) is not None:
            connecting = remote and parameter.name in CONNECTION
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections["Connection" if connecting else kind].append(told)
    for title, told_of in sections.items():
        if told_of:
            with formatter.section(title):
                formatter.write_dl(told_of)


def with_seconds(args: list[str]) -> Iterator[str]:
    """Yields the arguments, with OFTEN after each --watch that has no number after it."""
    for number, argument in enumerate(args):
        if argument == "--":
            yield from args[number:]
            return
        yield argument
        if argument in {"--watch", "-w"} and not _SECONDS.fullmatch("".join(args[number + 1 : number + 2])):
            yield OFTEN


def _meant(command: Any, args: list[str]) -> list[str]:
    watches = any(parameter.name == "watch" for parameter in command.params)
    return list(with_seconds(args)) if watches else args


class RemoteCommand(TyperCommand):
    """A command whose help lists connection options in their own section, and whose --watch takes an optional value."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _in_sections(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _meant(self, args))


class LazyGroup(TyperGroup):
    """A group that imports the modules of its commands `later` when they are called. Help and --watch are as in Command."""

    later: ClassVar[Mapping[str, Later | None]] = {}
    """Commands in the order of the help; None stands for a command that is registered already."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        told = {
            name: RemoteCommand(name, help=each.help, rich_markup_mode=None)
            if each
            else self.commands.pop(name)
            for name, each in self.later.items()
        }
        self.commands = {**self.commands, **told}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _in_sections(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _meant(self, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.load(str(name)), rest

    def load(self, name: str) -> Any:
        """Imports the module of the command and returns the command."""
        if (later := self.later.get(name)) is not None:
            module, _, app = later.where.partition(":")
            group = typer.main.get_group(getattr(import_module(module), app))
            if group.name != name:
                return group.commands[name]
            group.help = later.help
            return group
        return self.commands[name]


def all_commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields the command and all its subcommands, each with the words that call it; imports all their modules."""
    yield path, command
    if isinstance(command, LazyGroup):
        for name in command.commands:
            yield from all_commands(command.load(name), *path, name)


class Commands(typer.Typer):
    """The commands of one module; without a name they belong to the parent group."""

    def __init__(self, name: str = "", *, cls: type[TyperGroup] = LazyGroup, **options: Any) -> None:
        usual = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
        super().__init__(name=name or None, cls=cls, **{**usual, **options})

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any
    ) -> Callable[[F], F]:
        return super().command(name, cls=cls or RemoteCommand, **options)

    def local(
        self, name: str | None = None, *, epilog: str, own: Sequence[inspect.Parameter]
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Registers a command with the options of its signature and the options `own`."""

        def register(command: Callable[..., None]) -> Callable[..., None]:
            parameters = beside(inspect.signature(command).parameters.values(), own)
            return self.command(name, epilog=epilog)(signed(command, [*parameters, *own]))

        return register


def beside(
    parameters: Iterable[inspect.Parameter], own: Iterable[inspect.Parameter]
) -> list[inspect.Parameter]:
    """Returns the parameters of a signature that are not declared as options."""
    said = {each.name for each in own}
    return [each for each in parameters if each.kind is not each.VAR_KEYWORD and each.name not in said]


def signed(run: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """Returns the function with these parameters as its signature (PEP 362), which Typer reads."""
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
