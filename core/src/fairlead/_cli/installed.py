"""`fairlead plugins list|info`: what is installed, and how one of it is used."""

from __future__ import annotations

import difflib
import inspect
import json
from importlib import metadata
from typing import Any

import attrs
import click

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._cli.tables import print_json, print_table
from fairlead._engine.catalogue import Installed, installed, names
from fairlead._engine.distributions import core_version, fairlead_range
from fairlead.errors import PluginError


def list_plugins(as_json: bool) -> None:
    """One line for each; a fault is named in it, and hides no other."""
    found = installed()
    if as_json:
        print_json([row(plugin) for plugin in found])
        return
    rows = [
        [
            plugin.kind or "-",
            plugin.name,
            plugin.origin.name or "-",
            plugin.origin.version or "-",
            ", ".join(hook.removeprefix("fairlead_") for hook in plugin.hooks) or "-",
            plugin.tier or "-",
            plugin.fault or "ok",
        ]
        for plugin in found
    ]
    print_table(rows, ("kind", "name", "distribution", "version", "hooks", "tier", "state"))


def row(plugin: Installed) -> dict[str, Any]:
    """A plugin for a machine; what is not known is null."""
    return {
        "name": plugin.name,
        "kind": plugin.kind or None,
        "distribution": plugin.origin.name,
        "version": plugin.origin.version,
        "object": plugin.target,
        "hooks": list(plugin.hooks),
        "tier": plugin.tier or None,
        "state": "fault" if plugin.fault else "ok",
        "fault": plugin.fault or None,
    }


def show_plugin(name: str, as_json: bool) -> None:
    """Everything that is known of the plugins of one name, and how to write one down."""
    found = installed(name)
    if not found:
        known = names()
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
        raise CommandFailed(f"no plugin is named {name!r}: {remedy}", USAGE)
    if as_json:
        print_json([_whole(plugin) for plugin in found])
        return
    click.echo("\n\n".join(_page(plugin) for plugin in found))


# --- what its distribution says -----------------------------------------------------------------------------


def _package(plugin: Installed) -> dict[str, str]:
    """Summary, licence, homepage and the fairlead that it wants; empty where the distribution does not say."""
    if plugin.distribution is None:
        return {"summary": "", "licence": "", "homepage": "", "wants_fairlead": ""}
    said = plugin.distribution.metadata
    try:
        wanted = ",".join(str(found) for found in fairlead_range(plugin.name, plugin.distribution))
    except PluginError:
        wanted = ""
    return {
        "summary": said["Summary"] or "",
        "licence": said["License-Expression"] or (said["License"] or "").partition("\n")[0],
        "homepage": said["Home-page"] or _homepage(said),
        "wants_fairlead": wanted,
    }


def _homepage(said: metadata.PackageMetadata) -> str:
    links = [link.partition(",") for link in said.get_all("Project-URL") or []]
    by_label = {label.strip().lower(): link.strip() for label, _, link in links}
    wanted = ("homepage", "home", "source", "repository", "documentation")
    return next((by_label[label] for label in wanted if label in by_label), "")


# --- how it is made -----------------------------------------------------------------------------------------


@attrs.frozen
class Argument:
    """One argument of a plugin's constructor, as text; `default` is None where one must be given."""

    name: str
    type: str
    default: str | None
    keyword_only: bool
    toml: str | None
    """The default as a configuration file says it, None where it has no words for it."""


def arguments(made_of: Any) -> list[Argument]:
    """What a plugin's constructor takes; none for an object that is made already."""
    if not inspect.isclass(made_of):
        return []
    try:
        parameters = inspect.signature(made_of).parameters.values()
    except (TypeError, ValueError):  # a compiled class shows no signature
        return []
    return [
        Argument(
            parameter.name,
            "" if parameter.annotation is parameter.empty else _type(parameter.annotation),
            None if parameter.default is parameter.empty else repr(parameter.default),
            parameter.kind is parameter.KEYWORD_ONLY,
            _toml(parameter.default),
        )
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _toml(value: Any) -> str | None:
    from fairlead._config.showing import text_of  # not needed for a list, which should be quick

    words = value is not inspect.Parameter.empty and isinstance(
        value, str | int | float | list | tuple | dict
    )
    return text_of(value) if words else None


def _call(plugin: Installed, taken: list[Argument]) -> str:
    if plugin.kind == "command":
        return f"fairlead {plugin.name} --help"
    module, _, name = plugin.target.partition(":")
    if not inspect.isclass(plugin.made_of):
        return f"plugins=[{plugin.name!r}]"
    required = ", ".join(
        f"{argument.name}=..." if argument.keyword_only else "..."
        for argument in taken
        if argument.default is None
    )
    return f"from {module} import {name}\n\n{name}({required})"


def _table(plugin: Installed, taken: list[Argument]) -> str:
    """The same in a configuration file: what must be given, then the defaults as comments."""
    lines = [f"[{plugin.kind}.{plugin.name}]", f"use = {json.dumps(plugin.name)}"]
    for argument in taken:
        if argument.name == "name":  # the table's own
            continue
        if argument.default is None:
            lines.append(f"{argument.name} = ...  # {argument.type or 'required'}")
        else:
            lines.append(f"# {argument.name} = {argument.toml or '...'}")
    return "\n".join(lines)


def _documentation(plugin: Installed) -> str:
    own = inspect.isclass(plugin.made_of) or inspect.ismodule(plugin.made_of)
    return (inspect.getdoc(plugin.made_of if own else type(plugin.made_of)) or "") if plugin.made_of else ""


# --- showing it ---------------------------------------------------------------------------------------------


def _whole(plugin: Installed) -> dict[str, Any]:
    taken = arguments(plugin.made_of)
    shown = [
        {
            "name": argument.name,
            "type": argument.type,
            "default": argument.default,
            "required": argument.default is None,
            "keyword_only": argument.keyword_only,
        }
        for argument in taken
    ]
    return {
        **row(plugin),
        **_package(plugin),
        "fairlead": core_version(),
        "arguments": shown,
        "documentation": _documentation(plugin),
    }


def _page(plugin: Installed) -> str:
    package = _package(plugin)
    rows = [
        ("kind", plugin.kind),
        ("from", str(plugin.origin) if plugin.origin.name else ""),
        ("summary", package["summary"]),
        ("licence", package["licence"]),
        ("homepage", package["homepage"]),
        ("fairlead", f"wants {package['wants_fairlead'] or 'any'}, this is {core_version()}"),
        ("hooks", ", ".join(plugin.hooks)),
        ("tier", plugin.tier),
        ("state", plugin.fault or "ok"),
    ]
    parts = ["\n".join([plugin.name, *(f"  {name:<9} {said or '-'}" for name, said in rows)])]
    if plugin.fault:
        return parts[0]
    taken = arguments(plugin.made_of)
    parts.append(_call(plugin, taken))
    if plugin.kind not in {"hooks", "command"}:
        parts.append(_table(plugin, taken))
    if taken:
        wide = max(len(argument.name) for argument in taken)
        lines = [
            f"  {argument.name:<{wide}}  {'required' if argument.default is None else '= ' + argument.default}"
            + (f"  ({argument.type})" if argument.type else "")
            for argument in taken
        ]
        parts.append("\n".join(["arguments", *lines]))
    if documentation := _documentation(plugin):
        parts.append(documentation)
    return "\n\n".join(parts)
