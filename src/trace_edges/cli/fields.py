"""Commands that take dataclasses: every field becomes an option, declared nowhere else.

A parameter annotated with a dataclass is replaced by one option for each of its fields. The help of
an option is what the dataclass says of the field under "Attributes", and its default the field's.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache, wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from trace_edges.cli.bounds import check_bounds
from trace_edges.cli.common import plain_errors


@dataclass(frozen=True)
class Fields:
    """How the fields of a dataclass stand on the command line; goes into `Annotated`.

    Attributes:
        panel: heading of these options in the help.
        leave_out: fields that are no options, and keep their defaults.
        flags: other or further names of an option, by field.
        help: other help than the dataclass gives, by field.
    """

    panel: str | None = None
    leave_out: tuple[str, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    help: Mapping[str, str] = field(default_factory=dict)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command of typer whose dataclass parameters are filled from options.

    Wrong input ends in one line and a non-zero exit, as `plain_errors` says.
    """
    parameters: list[inspect.Parameter] = []
    filled: dict[str, tuple[type, list[str]]] = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        kind, how = _dataclass_of(parameter.annotation)
        if kind is None:
            parameters.append(_with_letter(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)))
            continue
        options = [_option(one, kind, how) for one in fields(kind) if one.name not in how.leave_out]
        parameters += options
        filled[name] = kind, [option.name for option in options]

    @wraps(function)
    def run(**values: Any) -> None:
        with plain_errors():
            check_bounds(values)
            for name, (kind, names) in filled.items():
                values[name] = kind(**{one: values.pop(one) for one in names})
            function(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _with_letter(parameter: inspect.Parameter) -> inspect.Parameter:
    """`--out` is `-o` too, in every command that has it."""
    if parameter.name != "out":
        return parameter
    kind, option = get_args(parameter.annotation)
    named = copy(option)  # the same object may stand in the signatures of several commands
    named.param_decls = ("--out", "-o")
    return parameter.replace(annotation=Annotated[kind, named])


@cache
def attribute_help(kind: type) -> dict[str, str]:
    """What the docstrings of a dataclass and its bases say of each attribute, in one line each."""
    found: dict[str, str] = {}
    text = inspect.cleandoc(kind.__doc__ or "")
    section = re.search(r"^Attributes:\n((?: {4}.*\n?|\n)+)", text, re.MULTILINE)
    if section is None:
        return found
    for entry in re.split(r"\n(?= {4}\S)", section.group(1).rstrip()):
        names, _, told = " ".join(entry.split()).partition(": ")
        if re.match(r"[a-z]{2,}[ ,;.]", told):  # a word, and no formula
            told = told[0].upper() + told[1:]
        found |= dict.fromkeys(names.split(", "), told)
    for base in kind.__mro__[1:]:
        found |= attribute_help(base)  # which says it in its own words
    return found


def _dataclass_of(annotation: Any) -> tuple[type | None, Fields]:
    kind, how = annotation, Fields()
    if get_origin(annotation) is Annotated:
        kind, *more = get_args(annotation)
        how = next((one for one in more if isinstance(one, Fields)), how)
    return (kind, how) if isinstance(kind, type) and is_dataclass(kind) else (None, how)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _option(one: Field[Any], kind: type, how: Fields) -> inspect.Parameter:
    hint = _hints(kind)[one.name]
    flags = how.flags.get(one.name, ())
    if hint is bool and not flags:
        flags = (f"--{one.name.replace('_', '-')}",)  # and no --no-...
    help_text = how.help.get(one.name) or attribute_help(kind).get(one.name, "")
    option = typer.Option(*flags, help=help_text.replace("None: ", "Default: "),
                          rich_help_panel=how.panel)  # fmt: skip
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if one.default is MISSING else one.default,
        annotation=Annotated[hint, option],
    )
