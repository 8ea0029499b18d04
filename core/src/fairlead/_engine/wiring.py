"""Wiring: from the user's list of plugins to brokers, streams and breakers, all through the same hooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any, TypeVar

import attrs
import pluggy

from fairlead import hookspecs
from fairlead._engine.distributions import Origin, check_version, origin_of, plugin_by_name
from fairlead.errors import ConfigurationError, PluginError
from fairlead.ports import BrokerAdapter, CircuitBreaker, Clock, DataStream

T = TypeVar("T")

_PORTS: tuple[tuple[str, type], ...] = (
    ("broker", BrokerAdapter),
    ("stream", DataStream),
    ("breaker", CircuitBreaker),
)
_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("fairlead_"))


@attrs.frozen
class Wire:
    """One row of the wiring table: what serves a port or hook, and where it came from."""

    port: str
    name: str
    plugin: str
    origin: Origin


class _Offer:
    """An object that fills a port, as a plugin: every capability comes in by the same hook."""

    def __init__(self, port: str, item: Any) -> None:
        def register_it(register: Callable[[Any], None]) -> None:
            register(item)

        hook = f"fairlead_register_{port}"
        register_it.__name__ = hook
        setattr(self, hook, hookspecs.hookimpl(register_it))


@attrs.define
class Wiring:
    """What an engine is made of."""

    brokers: dict[str, BrokerAdapter] = attrs.Factory(dict)
    streams: dict[str, DataStream] = attrs.Factory(dict)
    breakers: dict[str, CircuitBreaker] = attrs.Factory(dict)
    clock: Clock | None = None
    table: list[Wire] = attrs.Factory(list)
    manager: pluggy.PluginManager = attrs.Factory(lambda: pluggy.PluginManager("fairlead"))


def wire(items: Iterable[Any]) -> Wiring:
    """Wire a user's plugins, in their order.

    An item is an object that fills a port, an object with hook implementations, or an entry point's name.
    Raises ConfigurationError or PluginError naming the culprit; nothing is left half-registered, because the
    wiring is thrown away with the error.
    """
    wiring = Wiring()
    wiring.manager.add_hookspecs(hookspecs)
    ordered = [_load(item) for item in items]
    for item in ordered:
        if isinstance(item, type):
            raise ConfigurationError(
                f"plugins=[{item.__name__}] is a class: put an object there, {item.__name__}(...)"
            )
        _add(wiring, item)
    wiring.manager.check_pending()
    return wiring


def _load(item: Any) -> Any:
    return plugin_by_name(item) if isinstance(item, str) else item


def _add(wiring: Wiring, item: Any) -> None:
    origin = origin_of(item)
    if origin.name and origin.name != "fairlead":
        check_version(getattr(item, "name", type(item).__name__), metadata.distribution(origin.name))
    if isinstance(item, Clock) and not _port_of(item):
        if wiring.clock is not None:
            raise ConfigurationError(f"two clocks, {wiring.clock!r} and {item!r}: an engine has one")
        wiring.clock = item
        wiring.table.append(Wire("clock", type(item).__name__, type(item).__name__, origin))
        return
    port = _port_of(item)
    plugin = _Offer(port, item) if port else item
    name = getattr(item, "name", "") or type(item).__name__
    if not port and not any(hasattr(item, hook) for hook in _HOOKS):
        raise ConfigurationError(_not_a_plugin(item))
    _check_colour(plugin, name, origin)
    try:
        wiring.manager.register(plugin)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(
            f"plugin {name} ({origin}) has a hook that does not fit: {error}",
            plugin=name,
            distribution=origin.name,
        ) from error
    _collect(wiring, plugin, name, origin)


def _port_of(item: Any) -> str:
    for port, protocol in _PORTS:
        if isinstance(item, protocol):
            return port
    return ""


def _not_a_plugin(item: Any) -> str:
    kind = type(item).__name__
    best, missing = "", list[str]()
    for port, protocol in _PORTS:
        wanted = [name for name in _members(protocol) if not hasattr(item, name)]
        if not best or len(wanted) < len(missing):
            best, missing = port, wanted
    return (
        f"plugins=[{kind}(...)] fills no port and implements no hook: as a {best} it lacks {', '.join(missing)}; "
        f"a hook is marked with @fairlead.hookspecs.hookimpl and named fairlead_..."
    )


def _members(protocol: type) -> list[str]:
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return sorted({*methods, *protocol.__annotations__})


def _check_colour(plugin: Any, name: str, origin: Origin) -> None:
    """A coroutine where a plain function is wanted would be made and never run."""
    for hook in _HOOKS:
        implementation = getattr(plugin, hook, None)
        if implementation is not None and inspect.iscoroutinefunction(implementation):
            raise ConfigurationError(
                f"plugin {name} ({origin}) implements {hook} as `async def`, and hooks are plain functions: "
                f"write `def {hook}(...)`"
            )
    for method in ("send", "market", "check", "watch"):
        implementation = getattr(plugin, method, None)
        if implementation is not None and inspect.iscoroutinefunction(implementation):
            raise ConfigurationError(f"{name}.{method} is `async def`, and must be a plain function")


def _collect(wiring: Wiring, plugin: Any, name: str, origin: Origin) -> None:
    """Call the registration hooks of the plugin just added, and of no other."""
    for port, found in (("broker", wiring.brokers), ("stream", wiring.streams), ("breaker", wiring.breakers)):
        hook = f"fairlead_register_{port}"
        implementation = getattr(plugin, hook, None)
        if implementation is None:
            continue
        others = [p for p in wiring.manager.get_plugins() if p is not plugin]
        caller = wiring.manager.subset_hook_caller(hook, others)
        try:
            caller(register=_registrar(wiring, port, found, name, origin))
        except (ConfigurationError, PluginError):
            raise
        except Exception as error:
            raise PluginError(
                f"plugin {name} ({origin}) failed in {hook}: {type(error).__name__}: {error}",
                plugin=name,
                distribution=origin.name,
            ) from error
    for hook in _HOOKS:
        if not hook.startswith("fairlead_register_") and hasattr(plugin, hook):
            wiring.table.append(Wire(hook, name, name, origin))


def _registrar(
    wiring: Wiring, port: str, found: dict[str, Any], plugin: str, origin: Origin
) -> Callable[[Any], None]:
    protocol = dict(_PORTS)[port]

    def register(item: Any) -> None:
        fits: bool = isinstance(item, protocol)
        if not fits:
            lacking = [name for name in _members(protocol) if not hasattr(item, name)]
            raise ConfigurationError(
                f"plugin {plugin} offers {type(item).__name__} as a {port}, which lacks {', '.join(lacking)}"
            )
        _check_colour(item, item.name, origin)
        standing = found.get(item.name)
        if standing is not None:
            raise ConfigurationError(
                f"two {port}s are named {item.name!r} ({type(standing).__name__} and {type(item).__name__}): "
                f"give one another name, name='...'"
            )
        found[item.name] = item
        wiring.table.append(Wire(port, item.name, plugin, origin_of(item)))

    return register


def table_text(rows: Iterable[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """A plain table, columns as wide as their widest cell."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def core_version() -> str:
    """The version of fairlead that runs, from its metadata where it is installed."""
    try:
        return metadata.version("fairlead")
    except metadata.PackageNotFoundError:
        from fairlead import __version__

        return __version__
