"""`fairlead doctor`: what is wrong with this machine, with what is installed, and with what a file needs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import attrs
import click

from fairlead._cli.faults import DEGRADED, FAULT, OK, CommandFailed
from fairlead._cli.findings import Finding, Grade, fail, ok, warn
from fairlead._cli.loading import load_engine
from fairlead._cli.machine import clock, folders, secrets, software, surroundings
from fairlead._cli.tables import print_json
from fairlead._engine.catalogue import installed
from fairlead._engine.distributions import core_version
from fairlead._engine.engine import LiveTradingEngine
from fairlead._storage.home import fairlead_home
from fairlead.errors import FairleadError
from fairlead.net import reach

_CODES = {Grade.OK: OK, Grade.WARN: DEGRADED, Grade.FAIL: FAULT}


def examine(
    file: Path | None, profile: str | None, settings: Sequence[str], *, live: bool, as_json: bool
) -> None:
    """Look at everything, print it, and end with the code of the worst."""
    found = list(look(file, lambda name: load_engine(name, profile, settings, live=live)))
    worst = max((finding.grade for finding in found), key=list(Grade).index)
    if as_json:
        print_json({"worst": worst, "findings": [attrs.asdict(finding) for finding in found]})
    else:
        wide = max(len(finding.check) for finding in found)
        for finding in found:
            remedy = f": {finding.remedy}" if finding.remedy else ""
            click.echo(f"{finding.grade:<4}  {finding.check:<{wide}}  {finding.said}{remedy}")
    click.get_current_context().exit(_CODES[worst])


Loader = Callable[[Path], LiveTradingEngine]


def look(file: Path | None, load: Loader) -> Iterator[Finding]:
    """Everything there is to find. A file that cannot be read is a finding too."""
    engine, read = _engine(file, load)
    run = engine.folder.path if engine is not None else Path("runs").absolute()
    yield from software()
    yield from _versions()
    yield from read
    yield from asyncio.run(clock())
    yield from folders(run, fairlead_home())
    yield from secrets((file.parent if file is not None else Path()).absolute())
    yield from surroundings()
    if engine is not None:
        yield from asyncio.run(_reachable(engine))


def _versions() -> Iterator[Finding]:
    """fairlead and its plugins, each distribution once. One that nobody uses hurts nobody, so it only warns."""
    yield ok("fairlead", core_version())
    seen = set()
    for plugin in installed():
        if plugin.fault:
            yield warn(
                "plugin", f"{plugin.name} ({plugin.origin}): {plugin.fault}", "or leave it out of your engine"
            )
        elif plugin.origin not in seen:
            seen.add(plugin.origin)
            yield ok("plugin", str(plugin.origin))


def _engine(file: Path | None, load: Loader) -> tuple[LiveTradingEngine | None, list[Finding]]:
    if file is None:
        return None, []
    try:
        with redirect_stdout(sys.stderr):  # what a script prints is no part of the answer
            engine = load(file)
    except (CommandFailed, FairleadError) as error:
        return None, [fail("file", str(error), f"fairlead check {file} once it is mended")]
    return engine, [ok("file", f"{file}: what its engine is made of fits together")]


async def _reachable(engine: LiveTradingEngine) -> list[Finding]:
    """Whether what its brokers and streams connect to can be reached, all at once."""
    owners = [
        *(("broker", name, broker) for name, broker in engine.wiring.brokers.items()),
        *(("stream", name, stream) for name, stream in engine.wiring.streams.items()),
    ]
    tries = [
        _addresses(f"{kind} {name}", owner) for kind, name, owner in owners if hasattr(owner, "endpoints")
    ]
    return [finding for found in await asyncio.gather(*tries) for finding in found]


async def _addresses(owner: str, plugin: Any) -> list[Finding]:
    try:
        addresses: Iterable[str] = [str(address) for address in plugin.endpoints()]
    except Exception as error:  # a plugin can fail in any way; it is named
        return [fail(owner, f"endpoints() failed: {type(error).__name__}: {error}", "repair or update it")]
    return list(await asyncio.gather(*(_try(owner, address) for address in addresses)))


async def _try(owner: str, address: str) -> Finding:
    try:
        seconds = await reach(address)
    except FairleadError as error:
        return fail(owner, str(error), "look at the network, a firewall, and whether the venue is up")
    return ok(owner, f"{address} answers after {seconds * 1000:,.0f} ms")
