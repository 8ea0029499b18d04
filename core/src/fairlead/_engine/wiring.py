"""Wiring: from the user's list of plugins to brokers, streams and breakers, all through the same hooks."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterable
from importlib import metadata
from types import ModuleType
from typing import Any, TypeVar

import attrs
import pluggy

from fairlead import hookspecs
from fairlead._engine.distributions import Origin, Origins, check_version, plugin_by_name
from fairlead._engine.observers import implementations
from fairlead.errors import ConfigurationError, PluginError
from fairlead.ports import (
    EQUITY,
    BrokerAdapter,
    CircuitBreaker,
    DataStream,
    Lease,
    Reconciler,
    Time,
)

T = TypeVar("T")

_PORTS: dict[str, type] = {
    "broker": BrokerAdapter,
    "stream": DataStream,
    "breaker": CircuitBreaker,
    "reconciler": Reconciler,
}
_OPTIONAL: dict[str, dict[str, tuple[str, ...]]] = {
    "broker": {"market": ("event",), "learn": ("instrument",), "persist": ("folder",), "endpoints": ()},
    "stream": {"time": (), "replay": ("subscriptions",), "resume": ("after_ns",), "endpoints": ()},
    "breaker": {
        "due": ("view",),
        "clean": ("scope", "view"),
        "quiet": ("account", "view"),
        "allows": ("account", "instrument", "view"),
        "save": (),
        "load": ("saved",),
        "refers": (),
        "probe": ("scope", "view"),
    },
    "reconciler": {},
}
"""Methods that an object may have beyond its port, with their arguments: the engine calls them where they are."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("fairlead_"))
"""Every hook there is."""


@attrs.frozen
class Wire:
    """One row of the wiring table: what serves a port or hook, and where it came from."""

    port: str
    name: str
    plugin: str
    origin: Origin


@attrs.define
class Wiring:
    """What an engine is made of; each mapping and the table in the order of the user's list."""

    brokers: dict[str, BrokerAdapter] = attrs.Factory(dict)
    streams: dict[str, DataStream] = attrs.Factory(dict)
    breakers: dict[str, CircuitBreaker] = attrs.Factory(dict)
    reconcilers: dict[str, Reconciler] = attrs.Factory(dict)
    clock: Time | None = None
    lease: Lease | None = None
    table: list[Wire] = attrs.Factory(list)
    manager: pluggy.PluginManager = attrs.Factory(lambda: pluggy.PluginManager("fairlead"))
    origins: Origins = attrs.Factory(Origins)
    _untouched: dict[str, CircuitBreaker | Exception] = attrs.Factory(dict)

    def fresh_breakers(self) -> list[CircuitBreaker]:
        """The breakers as they were when they were wired, for a backtest or a replay; a live run has the user's own.

        Raises ConfigurationError for one that cannot be copied.
        """
        for name, kept in self._untouched.items():
            if isinstance(kept, Exception):
                raise ConfigurationError(
                    f"breaker {name} cannot be copied ({kept}), and a backtest works on a copy: keep locks, threads "
                    f"and connections out of it, or give it a __deepcopy__"
                )
        return [copy.deepcopy(kept) for kept in self._untouched.values() if not isinstance(kept, Exception)]

    def keep(self, breaker: CircuitBreaker) -> None:
        """Remember a breaker as it is now."""
        try:
            self._untouched[breaker.name] = copy.deepcopy(breaker)
        except Exception as error:  # said where a copy is needed: a live run needs none
            self._untouched[breaker.name] = error

    def of(self, port: str) -> dict[str, Any]:
        """What serves a port, by name."""
        found: dict[str, dict[str, Any]] = {
            "broker": self.brokers,
            "stream": self.streams,
            "breaker": self.breakers,
            "reconciler": self.reconcilers,
        }
        return found[port]


def wire(items: Iterable[Any]) -> Wiring:
    """Wire a user's plugins, in their order.

    An item is an object that fills a port, an object or module with hook implementations, or an entry point's
    name. Raises ConfigurationError or PluginError naming the culprit; nothing is left half-registered, because
    the wiring is thrown away with the error.
    """
    if isinstance(items, str) or not isinstance(items, Iterable):
        shown = repr(items) if isinstance(items, str) else f"{type(items).__name__}(...)"
        raise ConfigurationError(f"plugins={shown} is one plugin: put it into a list, plugins=[{shown}]")
    wiring = Wiring()
    wiring.manager.add_hookspecs(hookspecs)
    for item in [plugin_by_name(item) if isinstance(item, str) else item for item in items]:
        _add(wiring, item)
    return wiring


def _add(wiring: Wiring, item: Any) -> None:
    if isinstance(item, type):
        raise ConfigurationError(
            f"plugins=[{item.__name__}] is a class: put an object there, {item.__name__}(...)"
        )
    name, origin = _name_of(item), wiring.origins.of(item)
    if origin.name and origin.name != "fairlead":
        check_version(name, metadata.distribution(origin.name))
    port = _port_of(item)
    if not port and isinstance(item, Time):
        wiring.clock = _only("clock", wiring, wiring.clock, item, origin)
        return
    if not port and isinstance(item, Lease):
        wiring.lease = _only("lease", wiring, wiring.lease, item, origin)
        return
    marked = _marked(item, name, origin)
    if not port and not marked:
        raise ConfigurationError(_not_a_plugin(item))
    key = f"{port} {name}".strip()
    if wiring.manager.has_plugin(key):
        raise _doubled(port or "plugin", name, wiring.manager.get_plugin(key), item)
    plugin = _Offer(port, item, marked) if port else item
    try:
        wiring.manager.register(plugin, key)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"plugin {name} ({origin}) has a hook that does not fit ({'; '.join(str(error).splitlines())}): "
            f"take the arguments that fairlead.hookspecs names, or fewer",
            plugin=name,
            distribution=origin.name,
        ) from error
    _collect(wiring, key, name, origin)


def _only(port: str, wiring: Wiring, standing: T | None, item: T, origin: Origin) -> T:
    """The one object that fills a port of which an engine has one."""
    kind = type(item).__name__
    if standing is not None:
        raise ConfigurationError(
            f"two {port}s, {type(standing).__name__} and {kind}: an engine has one, take the other out"
        )
    wiring.table.append(Wire(port, kind, kind, origin))
    return item


class _Offer:
    """An object that fills a port, as a plugin: every capability comes in by the same hook."""

    def __init__(self, port: str, item: Any, hooks: Iterable[str]) -> None:
        def offer(register: Callable[[Any], None]) -> None:
            register(item)

        self.item = item
        setattr(self, f"fairlead_register_{port}", hookspecs.hookimpl(offer))
        for hook in hooks:
            setattr(self, hook, getattr(item, hook))


def _name_of(item: Any) -> str:
    name = getattr(item, "name", None)
    if name is None:
        return item.__name__ if isinstance(item, ModuleType) else type(item).__name__
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"plugins=[{type(item).__name__}(...)] is named {name!r}: a name is a text that is not empty"
        )
    return name


def _port_of(item: Any) -> str:
    filled = [port for port, protocol in _PORTS.items() if isinstance(item, protocol)]
    if len(filled) > 1:
        raise ConfigurationError(
            f"plugins=[{type(item).__name__}(...)] is a {' and a '.join(filled)} at once, and both would be "
            f"connected by one method: make two objects of it"
        )
    return filled[0] if filled else ""


def port_of_class(kind: type) -> str:
    """The port that objects of a class fill, as far as its methods tell; empty for none."""
    for port, protocol in _PORTS.items():
        methods = [
            name for name, member in vars(protocol).items() if inspect.isfunction(member) and name[0] != "_"
        ]
        if all(hasattr(kind, name) for name in methods):
            return port
    return ""


def _not_a_plugin(item: Any) -> str:
    lacking = {port: _lacking(item, port) for port in _PORTS}
    nearest = min(lacking, key=lambda port: len(lacking[port]))
    return (
        f"plugins=[{type(item).__name__}(...)] fills no port and implements no hook: as a {nearest} it lacks "
        f"{', '.join(lacking[nearest])}; a hook is marked with @fairlead.hookspecs.hookimpl"
    )


def _lacking(item: Any, port: str) -> list[str]:
    return [name for name in _members(port) if not hasattr(item, name)]


def _members(port: str) -> list[str]:
    protocol = _PORTS[port]
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    return sorted({*methods, *protocol.__annotations__})


def _doubled(port: str, name: str, standing: Any, item: Any) -> ConfigurationError:
    standing = standing.item if isinstance(standing, _Offer) else standing
    return ConfigurationError(
        f"two {port}s are named {name!r} ({type(standing).__name__} and {type(item).__name__}): "
        f"give one another name, name='...'"
    )


# --- hooks --------------------------------------------------------------------------------------------------


def _marked(item: Any, name: str, origin: Origin) -> list[str]:
    """The hooks that an object implements. What looks like one and would never be called is refused."""
    found = []
    for attribute in dir(item):
        static = inspect.getattr_static(item, attribute, None)
        options = getattr(static, "fairlead_impl", None)
        if options is None and not (attribute.startswith("fairlead_") and callable(static)):
            continue
        hook = (options or {}).get("specname") or attribute
        where = f"plugin {name} ({origin}) implements {hook}"
        if hook not in HOOKS:
            close = difflib.get_close_matches(hook, HOOKS, 1)
            remedy = f"did you mean {close[0]}?" if close else f"the hooks are {', '.join(HOOKS)}"
            raise ConfigurationError(f"{where}, and there is no such hook: {remedy}")
        if options is None:
            raise ConfigurationError(
                f"{where} without a mark, so it would never be called: put @fairlead.hookspecs.hookimpl above it"
            )
        if options["wrapper"] or options["hookwrapper"]:
            raise ConfigurationError(
                f"{where} as a wrapper, and nothing is wrapped here: use a plain hookimpl"
            )
        if inspect.iscoroutinefunction(static):
            raise ConfigurationError(
                f"{where} as `async def`, and hooks are plain functions: write `def {attribute}(...)`"
            )
        found.append(attribute)
    return found


def _collect(wiring: Wiring, key: str, name: str, origin: Origin) -> None:
    """Call the registration hooks of the plugin just added, and of no other."""
    for hook in HOOKS:
        for plugin, call in implementations(wiring.manager, hook):
            if plugin != key:
                continue
            port = hook.removeprefix("fairlead_register_")
            if port == hook:
                wiring.table.append(Wire(hook, name, name, origin))
                continue
            try:
                call(_registrar(wiring, port, name))
            except (ConfigurationError, PluginError):
                raise
            except Exception as error:  # a plugin can fail in any way; it is named, and nothing has started
                raise PluginError(
                    f"plugin {name} ({origin}) failed in {hook} ({type(error).__name__}: {error}): repair it, or "
                    f"take it out of plugins=[...]",
                    plugin=name,
                    distribution=origin.name,
                ) from error


def _registrar(wiring: Wiring, port: str, plugin: str) -> Callable[[Any], None]:
    found = wiring.of(port)

    def register(item: Any) -> None:
        kind = item.__name__ if isinstance(item, type) else type(item).__name__
        if isinstance(item, type):
            raise ConfigurationError(
                f"plugin {plugin} offers the class {kind} as a {port}: offer an object, {kind}(...)"
            )
        if lacking := _lacking(item, port):
            raise ConfigurationError(
                f"plugin {plugin} offers {kind} as a {port}, which lacks {', '.join(lacking)}: add what is "
                f"missing, as fairlead.ports describes it"
            )
        name = _name_of(item)
        _check_members(item, port, name)
        if name in found:
            raise _doubled(port, name, found[name], item)
        found[name] = item
        if port == "breaker":
            wiring.keep(item)
        shown = kind if plugin == name else f"{kind} by {plugin}"
        if label := getattr(item, "label", ""):
            shown += f" ({label})"
        wiring.table.append(Wire(port, name, shown, wiring.origins.of(item)))

    return register


def _check_members(item: Any, port: str, name: str) -> None:
    """Refuse what would fail, or silently do nothing, at its first call: in the middle of a run."""
    protocol, kind = _PORTS[port], type(item).__name__
    for member in _members(port):
        wanted, method = getattr(protocol, member, None), getattr(item, member)
        if inspect.isfunction(wanted):
            arguments = tuple(inspect.signature(wanted).parameters)[1:]
            waits = inspect.iscoroutinefunction(wanted)
            _check_method(method, f"{port} {name}: {kind}", member, arguments, waits=waits)
    for member, arguments in _OPTIONAL[port].items():
        if hasattr(item, member):
            _check_method(getattr(item, member), f"{port} {name}: {kind}", member, arguments, waits=False)
    if hasattr(item, "quiet") and port == "breaker" and EQUITY not in item.wants:
        raise ConfigurationError(
            f"breaker {name}: {kind}.quiet spares it looks at equity, which it does not want: add EQUITY to wants, or "
            f"rename quiet"
        )


def _check_method(method: Any, owner: str, member: str, arguments: tuple[str, ...], *, waits: bool) -> None:
    where = f"{owner}.{member}"
    written = f"`{'async ' if waits else ''}def {member}({', '.join(['self', *arguments])})`"
    if not callable(method):
        raise ConfigurationError(
            f"{where} is no method, and the engine would call it: make it {written}, or rename it"
        )
    if inspect.iscoroutinefunction(method) and not waits:
        raise ConfigurationError(f"{where} is `async def`, and must be a plain function: write {written}")
    if waits and not inspect.iscoroutinefunction(method):
        raise ConfigurationError(f"{where} is a plain function, and must be a coroutine: write {written}")
    try:
        inspect.signature(method).bind(*arguments)
    except ValueError:  # a compiled function shows no signature
        return
    except TypeError as error:
        raise ConfigurationError(
            f"{where} cannot take what it is called with ({error}): write {written}"
        ) from None


# --- showing it ---------------------------------------------------------------------------------------------


def table_text(rows: Iterable[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """A plain table, columns as wide as their widest cell."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
