"""The one loader of settings: a frozen dataclass from flags, the environment and its defaults."""

import dataclasses
import re
import sys
from argparse import HelpFormatter
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object
from jsonargparse import ArgumentError, ArgumentParser

S = TypeVar("S")

_BAD_SETTINGS = 2
"""The exit code of a command line that can't be understood."""

_OF_FIELD = re.compile(r'Parser key "(\w+)": (.*)')
"""How jsonargparse says what is wrong with the value of one field."""

_NOISE = re.compile(r"<class '(\w+)'>|typing\.")


def load_settings(cls: type[S], *, service: str, argv: Sequence[str] | None = None) -> S:
    """Read ``cls`` from flags, else the environment, else its defaults.

    The field ``tls_cert`` is the flag ``--tls-cert`` and the variable
    ``GROUNDMESH_<SERVICE>_TLS_CERT``; its attribute docstring is its help. A bad value ends the
    process with one line on standard error and exit code 2.
    """
    parser = _parser(cls, service)
    try:
        return cls(**vars(parser.parse_args(argv)))
    except (ArgumentError, ValueError) as error:
        _refuse(parser, error)


def _refuse(parser: ArgumentParser, error: Exception) -> NoReturn:
    words = " ".join(str(error).split())
    if of_field := _OF_FIELD.fullmatch(words):
        name, wrong = of_field.groups()
        wrong = _NOISE.sub(r"\1", wrong).replace("Expected a ", "expected ")
        words = f"{_flag(name)} (or {_variable(parser, name)}): {wrong}"
    sys.stderr.write(f"{parser.prog}: {words}\n")
    sys.exit(_BAD_SETTINGS)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(parser: ArgumentParser, name: str) -> str:
    return f"{parser.env_prefix}_{name.upper()}"


def _parser(cls: type[Any], service: str) -> ArgumentParser:
    prefix = f"GROUNDMESH_{service.upper()}"
    parser = ArgumentParser(
        prog=f"python -m groundmesh_{service}",
        usage="%(prog)s [--FLAG VALUE ...]",
        epilog="Each flag has an environment variable, named behind it; the flag wins over it.",
        formatter_class=HelpFormatter,
        default_env=True,
        env_prefix=prefix,
        exit_on_error=False,
        allow_abbrev=False,
    )
    ours = {field.name: field for field in dataclasses.fields(cls)}
    for owner in filter(dataclasses.is_dataclass, cls.__mro__):
        # A field belongs to the most derived class that mentions it.
        names = [name for name in vars(owner).get("__annotations__", ()) if name in ours]
        _add_group(parser, owner, cls, fields=[ours.pop(name) for name in names])
    return parser


def _add_group(
    parser: ArgumentParser,
    owner: type[Any],
    cls: type[Any],
    *,
    fields: Sequence[dataclasses.Field[Any]],
) -> None:
    docs = {param.arg_name: param.description for param in parse_from_object(owner).params}
    types = get_type_hints(cls)
    title = _paragraph(parse_from_object(owner).short_description).rstrip(".")
    group = parser.add_argument_group(title)
    for field in fields:
        variable = _variable(parser, field.name)
        group.add_argument(
            _flag(field.name),
            type=types[field.name],
            default=_default(field),
            metavar=_metavar(types[field.name]),
            help=f"{_paragraph(docs.get(field.name))} ({_show(_default(field))}) [{variable}]",
        )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _metavar(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "|".join(get_args(hint))
    names = [kind.__name__ for kind in (get_args(hint) or (hint,)) if isinstance(kind, type)]
    return next((name for name in names if name != "NoneType"), "value").upper()


def _show(default: Any) -> str:
    return f"default {default}" if default or isinstance(default, int | float) else "unset"


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split()).replace("%", "%%")
