"""Commands as they are said, and groups whose modules are imported when one of their commands is called."""

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
"""Seconds between two rounds of --watch where none are given."""
_SECONDS = re.compile(r"\d+(\.\d+)?")

CONNECTION = frozenset({"url", "token", "token_file", "ca_file", "config"})
"""Names of the options that say where a running bridge is."""


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
    """An option as a parameter of a command; its name is that of the first flag, unless another one is given."""
    names = flags.split()
    told: Any = Option(default, *names, metavar=metavar, help=help, **more)
    return inspect.Parameter(
        name or names[0].lstrip("-").replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=told,
        annotation=kind | None if default is None else kind,
    )


def flag(flags: str, help: str, *, name: str = "") -> inspect.Parameter:  # noqa: A002 - Typer's word
    """An option that is there or not."""
    return option(flags, None, help, bool, name=name, default=False)


class Later(NamedTuple):
    """A command whose module is not imported yet: `module:app`, and what the list of commands says of it."""

    where: str
    help: str


def _in_sections(command: Any, ctx: Any, formatter: Any) -> None:
    """Arguments, options, and, where the command asks a running bridge, how to reach it."""
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
    """The arguments with OFTEN behind each --watch that has no number behind it."""
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


class Command(TyperCommand):
    """A command whose help has the connection in a section of its own; its --watch may stand without seconds."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _in_sections(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _meant(self, args))


class LazyGroup(TyperGroup):
    """As Command, for a group. The modules of its commands `later` are imported when they are called."""

    later: ClassVar[Mapping[str, Later | None]] = {}
    """In the order of the help; None: a command of that name is there already."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        told = {
            name: Command(name, help=each.help, rich_markup_mode=None) if each else self.commands.pop(name)
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
        """The command of this name, its module imported."""
        if (later := self.later.get(name)) is not None:
            module, _, app = later.where.partition(":")
            group = typer.main.get_group(getattr(import_module(module), app))
            return group if group.name == name else group.commands[name]
        return self.commands[name]


def all_commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The command and all below it, each with the words that call it; the modules of all are imported."""
    yield path, command
    if isinstance(command, LazyGroup):
        for name in command.commands:
            yield from all_commands(command.load(name), *path, name)


class Commands(typer.Typer):
    """Commands of one module; without a name they stand in the group above."""

    def __init__(self, name: str = "", *, cls: type[TyperGroup] = LazyGroup, **options: Any) -> None:
        usual = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
        super().__init__(name=name or None, cls=cls, **{**usual, **options})

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any
    ) -> Callable[[F], F]:
        return super().command(name, cls=cls or Command, **options)

    def local(
        self, name: str | None = None, *, epilog: str, own: Sequence[inspect.Parameter]
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Register a command with the options of its signature and its `own`."""

        def register(command: Callable[..., None]) -> Callable[..., None]:
            parameters = beside(inspect.signature(command).parameters.values(), own)
            return self.command(name, epilog=epilog)(signed(command, [*parameters, *own]))

        return register


def beside(
    parameters: Iterable[inspect.Parameter], own: Iterable[inspect.Parameter]
) -> list[inspect.Parameter]:
    """Those of a signature that are not said as options."""
    said = {each.name for each in own}
    return [each for each in parameters if each.kind is not each.VAR_KEYWORD and each.name not in said]


def signed(run: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """The function, which Typer takes to have these parameters (PEP 362)."""
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
