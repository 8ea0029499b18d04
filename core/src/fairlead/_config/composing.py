"""From merged settings to strategies and plugins, with everything that is wrong on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from fairlead._config.faults import Fault, suggestion
from fairlead._config.fitting import Fitter, Misfit
from fairlead._config.layers import Layer, Setting, Table
from fairlead._config.plugins import plugin_for, strategy_class
from fairlead._config.sections import SECTIONS, STRATEGY_KEYS
from fairlead._config.signatures import ON_EXIT, Parameter, Signature, signature_of
from fairlead._secrets.secret import PREFIX, secrets_in
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError, FairleadError, PluginError


@attrs.define
class Composer:
    """Makes the objects of a configuration, in the order of its tables; `faults` has what could not be made, and why.

    Relative paths and `.env` are seen from `folder`. `secrets` says that they are needed: without, a reference to a
    missing one is fine.
    """

    folder: Path
    merged: Layer
    secrets: bool
    faults: list[Fault]
    strategies: list[Strategy] = attrs.Factory(list)
    plugins: list[Any] = attrs.Factory(list)
    signatures: dict[Table, Signature] = attrs.Factory(dict)

    def compose(self) -> None:
        """Make everything."""
        for table in self.merged.tables:
            if table[0] == "strategy":
                self._strategy(table)
            else:
                self._plugin(table)

    def fit(self, path: str, setting: Setting, parameter: Parameter, fitted: dict[str, Any]) -> None:
        """Add an argument to `fitted` if it fits; note the fault if not."""
        fitter = Fitter(self.folder)
        try:
            value = fitter.fit(
                setting.value, parameter.kind, default=parameter.default, written=setting.written
            )
        except Misfit as error:
            self.fault(path + error.inside, str(error), setting.origin)
            return
        fitted[parameter.name] = value
        if self.secrets:
            for secret in secrets_in(value):
                try:
                    secret.reveal()
                except ConfigurationError as error:
                    self.fault(path, str(error), setting.origin)

    def fault(self, path: str, text: str, origin: str = "", *, refused: bool = False) -> None:
        """Note what is wrong."""
        self.faults.append(Fault(path, text, origin, refused))

    # --- plugins ------------------------------------------------------------------------------------------------

    def _plugin(self, table: Table) -> None:
        path, own = ".".join(table), self.merged.of(table)
        made = self._find(table, own, lambda use: plugin_for(table[0], use, self.folder))
        if made is None:
            return
        signature = signature_of(made)
        named = signature.parameters.pop("name", None)
        self.signatures[table] = signature
        before = len(self.faults)
        arguments = self._arguments(table, own, signature)
        origin = self.merged.tables[table]
        if named is not None:
            arguments["name"] = table[1]
        needed = [p for p in signature.parameters.values() if p.required and p.name in own]
        failed = len(self.faults) > before
        if not failed or all(p.name in arguments for p in needed):
            plugin = self._made(path, made, arguments, own, origin, failed=failed)
            if plugin is not None:
                self.plugins.append(plugin)

    def _find(
        self, table: Table, own: dict[str, Setting], find: Callable[[str], Callable[..., Any]]
    ) -> Callable[..., Any] | None:
        """The class of a table."""
        path = ".".join(table)
        use = own.get("use")
        word = table[1] if use is None else use.value if use.written is None else use.written
        origin = self.merged.tables[table] if use is None else use.origin
        where = path if use is None else f"{path}.use"
        if not isinstance(word, str) or not word:
            self.fault(where, f"it must be the name of what is used, and is {word!r}: write a text", origin)
            return None
        try:
            return find(word)
        except PluginError as error:
            self.fault(where, str(error), origin, refused=True)
        except ConfigurationError as error:
            text = f'{error}; or write use = "..." in [{path}]' if use is None else str(error)
            self.fault(where, text, origin)
        return None

    def _arguments(
        self,
        table: Table,
        own: dict[str, Setting],
        signature: Signature,
        reserved: tuple[str, ...] = ("use",),
    ) -> dict[str, Any]:
        """What the class is called with, as far as it fits."""
        path, fitted = ".".join(table), dict[str, Any]()
        parameters = signature.parameters
        for key, setting in own.items():
            if key in reserved:
                continue
            if key == "name" and key not in parameters:
                self.fault(f"{path}.name", "the table's name is its name: rename the table", setting.origin)
            elif key in parameters:
                self.fit(f"{path}.{key}", setting, parameters[key], fitted)
            elif signature.open:
                self.fit(f"{path}.{key}", setting, Parameter(key, Any, None), fitted)
            else:
                known = [*parameters, *reserved]
                self.fault(f"{path}.{key}", f"no such key: {suggestion(key, known)}", setting.origin)
        for name, parameter in parameters.items():
            if parameter.required and name not in own:
                text = f"it is missing, and has no default: write {name} = ... in [{path}]"
                self.fault(f"{path}.{name}", text, self.merged.tables[table])
        return fitted

    def _made(
        self,
        path: str,
        made: Callable[..., Any],
        arguments: dict[str, Any],
        own: dict[str, Setting],
        origin: str,
        *,
        failed: bool = False,
    ) -> Any:
        """The object, None if there is none; `failed` says that an argument was left out, as it did not fit.

        What is refused is left out too, and the rest tried again, to hear of everything that is wrong with it. What is
        said then of the whole may come from what was left out.
        """
        while True:
            try:
                found = made(**arguments)
            except PluginError as error:
                self.fault(path, str(error), origin, refused=True)
                return None
            except FairleadError as error:
                culprit = _culprit(str(error), arguments, path.rpartition(".")[2])
                if culprit in own:
                    self.fault(f"{path}.{culprit}", str(error), own[culprit].origin)
                elif not failed:
                    self.fault(path, str(error), origin)
                if culprit not in own:
                    return None
                failed = True
                del arguments[culprit]
            except Exception as error:  # a plugin can fail in any way; it is named
                if not failed:
                    said = f"it cannot be made ({type(error).__name__}: {error})"
                    self.fault(path, f"{said}: change its arguments, or repair it", origin, refused=True)
                return None
            else:
                return None if failed else found

    # --- strategies ---------------------------------------------------------------------------------------------

    def _strategy(self, table: Table) -> None:
        path, own = ".".join(table), self.merged.of(table)
        if "use" not in own:
            self.fault(
                f"{path}.use", "it is missing: write use = 'strategies.py:Class'", self.merged.tables[table]
            )
            return
        kind = self._find(table, own, lambda use: strategy_class(use, self.folder))
        if kind is None:
            return
        signature = signature_of(kind)
        given = {name: signature.parameters.pop(name, None) for name in ("name", "allocation", "on_exit")}
        self.signatures[table] = signature
        before = len(self.faults)
        for key in [key for key, setting in own.items() if _refers(setting.value)]:
            self._secret_argument(f"{path}.{key}", own.pop(key).origin)
            signature.parameters.pop(key, None)
        arguments = self._arguments(table, own, signature, STRATEGY_KEYS)
        for key, value in arguments.items():
            self._keepable(f"{path}.{key}", value, own[key].origin)
        allocation = self._allocation(path, own)
        on_exit = self._on_exit(path, own)
        if len(self.faults) > before:
            return
        arguments |= {"name": table[1]} if given["name"] else {}
        arguments |= {"allocation": allocation} if given["allocation"] and allocation else {}
        strategy = self._made(path, kind, arguments, own, self.merged.tables[table])
        if strategy is not None:
            strategy.name, strategy.allocation = table[1], allocation or strategy.allocation
            if on_exit:
                strategy.on_exit = on_exit
            self.strategies.append(strategy)

    def _allocation(self, path: str, own: dict[str, Setting]) -> str | None:
        """The strategy's share of its account, as it is written."""
        if "allocation" not in own:
            return None
        from fairlead._kernel.context import allocation

        fitted: dict[str, Any] = {}
        self.fit(f"{path}.allocation", own["allocation"], Parameter("allocation", str, None), fitted)
        try:
            if fitted:
                allocation(fitted["allocation"])
        except ConfigurationError as error:
            self.fault(f"{path}.allocation", str(error), own["allocation"].origin)
        return fitted.get("allocation")

    def _on_exit(self, path: str, own: dict[str, Setting]) -> str | None:
        """What becomes of what it leaves at the end, as it is written."""
        fitted: dict[str, Any] = {}
        if "on_exit" in own:
            self.fit(f"{path}.on_exit", own["on_exit"], ON_EXIT, fitted)
        return fitted.get("on_exit")

    def _secret_argument(self, path: str, origin: str) -> None:
        text = (
            "arguments of a strategy are kept in the journal, and a secret must not be: give it to a broker or a "
            "stream, or have the strategy make Secret('NAME') itself"
        )
        self.fault(path, text, origin)

    def _keepable(self, path: str, value: Any, origin: str) -> None:
        """Arguments of strategies are kept in the journal, so that they can be built again."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            self.fault(
                path,
                f"arguments of a strategy are kept in the journal as JSON, which has no {type(value).__name__}: "
                f"annotate it as text or a number in the class, and write it so",
                origin,
            )


def _refers(value: Any) -> bool:
    """Whether a value is a reference to a secret, or holds one."""
    if isinstance(value, str):
        return value.startswith(PREFIX)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_refers, inner))


def _culprit(message: str, arguments: dict[str, Any], name: str) -> str:
    """The argument that a refusal is about: the one that it names before its first words, or whose value it cites."""
    head = message.removeprefix(f"{name}: ")
    for key in arguments:
        if re.match(rf"{re.escape(key)}\b", head):
            return key
    cited = [
        key
        for key, value in arguments.items()
        if key != "name" and not isinstance(value, bool | None.__class__) and repr(value) in message
    ]
    if len(cited) == 1:
        return cited[0]
    named = [key for key in arguments if key != "name" and re.search(rf"\b{re.escape(key)}\b", message)]
    return named[0] if len(named) == 1 else ""


def check_whole(composer: Composer, engine: dict[str, Any]) -> None:
    """What an engine refuses, in the words of a file."""
    have = {section for section, _ in composer.merged.tables}
    examples = {
        "strategy": 'use = "strategies.py:Cross"',
        "broker": "[broker.paper]",
        "stream": "[stream.synthetic]",
        "breaker": "[breaker.daily_loss]",
    }
    for section, example in examples.items():
        if section in have or (section == "breaker" and engine.get("breakers") == "none"):
            continue
        remedy = f"add {SECTIONS[section].heading}, such as {example}"
        if section == "breaker":
            remedy += ', or say breakers = "none" in [engine]'
        composer.fault(section, f"there is none: {remedy}")
    lacking = [strategy.name for strategy in composer.strategies if strategy.allocation is None]
    for name in lacking if len(composer.strategies) > 1 else ():
        text = 'it is missing, and several strategies share the account: write allocation = "50%", or "10_000 USDT"'
        composer.fault(f"strategy.{name}.allocation", text, composer.merged.tables["strategy", name])
    for broker in composer.plugins:
        profile = getattr(broker, "profile", None)
        if getattr(profile, "environment", "") == "live" and not engine.get("live"):
            composer.fault(
                f"broker.{broker.name}",
                "it trades real money, and only who starts it can say so: say --live, or write live = true in "
                "[engine] of this file or of its profile; or use its testnet or paper form",
            )
