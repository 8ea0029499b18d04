"""`Venue`: a venue in a box as tests and programs hold it, in a thread of this process or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from fairlead import Bar, Book, Funding, Instrument, Mark, Quote, Trade, duration
from fairlead.ports import MarketEvent
from fairlead_sim import Cash
from fairlead_venue.faults import FaultPlan

_PATIENCE = 20.0
_encoder = msgspec.json.Encoder(decimal_format="string")
_events = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class VenueRefused(Exception):
    """The venue could not do what its control line was asked to do."""


class Venue:
    """A running venue; close it, or use it in a `with`.

        with Venue("binance", cash="100_000 USDT") as venue:
            venue.quote("BTC/USDT", 99.9, 100.1)
            ... connect an SDK to venue.addresses["rest"] ...

    `cash` is what each of its wallets begins with, `pairs` what it lists (`{"BTC/USDT": "0.01"}`, with ticks),
    `instruments` the same in full. `data` is a file to play, `symbol` what it is of where it does not say, `synthetic`
    invents a market; without them the market is as it was pushed. `latency` is a round trip: `"0ms"`, `"3ms"`,
    `"realistic"`. `variants` choose between documents that differ. With `process` it runs in a process of its own, else
    in a thread with a loop of its own.

    Every method waits for the venue's answer, in any thread: in a coroutine call `wait` by `asyncio.to_thread`, so that
    what it waits for can happen. Raises ConfigurationError, or VenueRefused where a request makes no
    sense.
    """

    def __init__(
        self,
        protocol: str = "binance",
        *,
        cash: Cash | None = None,
        pairs: Mapping[str, str] | Sequence[str] = (),
        instruments: Sequence[Instrument] = (),
        key: str = "venue-key",
        secret: str = "venue-secret",
        public_key: str = "",
        data: str | Path = "",
        symbol: str = "",
        synthetic: bool = False,
        speed: float = 1.0,
        seed: int = 42,
        faults: FaultPlan | str | None = None,
        latency: str = "0ms",
        variants: Mapping[str, str] | None = None,
        process: bool = False,
        port: int = 0,
    ) -> None:
        self.key, self.secret = key, secret
        words: dict[str, Any] = {
            "protocol": protocol, "cash": _cash(cash), "pairs": _ticks(pairs), "key": key, "secret": secret,
            "public_key": public_key, "data": str(data),
            "symbol": symbol, "synthetic": synthetic, "speed": speed, "seed": seed,
            "latency": latency, "variants": dict(variants or {}), "port": port,
            "faults": faults if isinstance(faults, str) else "",
            "plan": faults.words() if isinstance(faults, FaultPlan) else None,
            "instruments": msgspec.to_builtins(list(instruments)),
        }  # fmt: skip
        self._requests = 0
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: _Thread | None = None
        if process:
            self._process, self.addresses = _start_process(words)
        else:
            self._thread = _Thread(words)
            self.addresses = self._thread.start_and_wait()
        host, _, number = self.addresses["control"].removeprefix("tcp://").rpartition(":")
        self._line = socket.create_connection((host, int(number)), timeout=60)
        self._answers = self._line.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; harmless to repeat."""
        self._answers.close()
        self._line.close()
        if self._thread is not None:
            self._thread.stop()
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate(timeout=_PATIENCE)

    def ask(self, do: str, **words: Any) -> Any:
        """Say a word on the control line. Raises VenueRefused."""
        with self._turn:
            self._requests += 1
            request = {"id": self._requests, "do": do, **words}
            self._line.sendall(_encoder.encode(request) + b"\n")
            answer = _decoder.decode(self._answers.readline() or b'{"error":"the venue has ended"}')
        if "error" in answer:
            raise VenueRefused(answer["error"])
        return answer["ok"]

    # --- the market ---------------------------------------------------------------------------------------------

    def push(self, *events: MarketEvent) -> None:
        """Let market events happen, in this order; a `received_ns` of 0 is now.

        A plain pair as the instrument, `BTC/USDT`, means every product of it; a long form means that one.
        """
        self.ask("push", events=[_decoder.decode(_events.encode(event)) for event in events])

    def quote(
        self, symbol: str, bid: float, ask: float, *, bid_size: float = 1000.0, ask_size: float = 1000.0
    ) -> None:
        """A new best bid and ask."""
        self.push(Quote(symbol, bid, ask, bid_size, ask_size, 0, 0))

    def trade(self, symbol: str, price: float, size: float = 1.0, *, aggressor: str = "buy") -> None:
        """A public trade."""
        self.push(Trade(symbol, price, size, 0, 0, aggressor))

    def bar(
        self,
        symbol: str,
        interval: str,
        *,
        open: float,
        high: float,
        low: float,
        close: float,
        volume: float = 1.0,
    ) -> None:
        """A bar that ends now."""
        self.push(Bar(symbol, interval, open, high, low, close, volume, -duration(interval), 0, 0))

    def book(
        self, symbol: str, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]
    ) -> None:
        """A whole order book, best first: pairs of price and size."""
        self.push(Book(symbol, tuple(bids), tuple(asks), 0, 0))

    def mark(self, symbol: str, price: float) -> None:
        """A mark price."""
        self.push(Mark(symbol, price, 0, 0))

    def funding(self, symbol: str, rate: float) -> None:
        """Funding is paid now."""
        self.push(Funding(symbol, rate, 0, 0))

    def change(self, symbol: str, **rules: str) -> None:
        """New rules of an instrument: `tick`, `lot`, `min_quantity`, `min_notional` …"""
        self.ask("instrument", name=symbol, changes=rules)

    # --- faults -------------------------------------------------------------------------------------------------

    def fault(self, kind: str, **words: Any) -> None:
        """One more fault, counted from now; words as in `Fault`. Raises VenueRefused."""
        self.ask("fault", kind=kind, **words)

    def strike(self, kind: str, **words: Any) -> None:
        """A fault of connections or of the venue, at once. Raises VenueRefused."""
        self.ask("now", kind=kind, **words)

    def clear(self) -> None:
        """No more faults, no limit, no maintenance."""
        self.ask("clear")

    def disconnect(self) -> None:
        """Cut every stream without a word."""
        self.strike("drop")

    def advance(self, by: str | int) -> int:
        """Let time pass at once; returns the venue's time in ns."""
        return int(self.ask("clock", advance_ns=duration(by)))

    def skew(self, by_ns: int) -> int:
        """Make the venue's clock wrong by so many ns, 0 puts it right; returns its time."""
        return int(self.ask("clock", skew_ns=by_ns))

    # --- its books ----------------------------------------------------------------------------------------------

    def books(self) -> dict[str, Any]:
        """All wallets: cash put in, balances, positions, orders and executions; money as texts."""
        found: dict[str, Any] = self.ask("books")
        return found

    def orders(self, account: str) -> list[dict[str, Any]]:
        """Every order of a wallet, oldest first."""
        return list(self.books()[account]["orders"])

    def executions(self, account: str) -> list[dict[str, Any]]:
        """Every execution of a wallet, oldest first."""
        return list(self.books()[account]["executions"])

    def deposit(self, account: str, currency: str, amount: str, cause: str = "deposit") -> None:
        """Pay in, or out where the amount is negative."""
        self.ask("deposit", account=account, currency=currency, amount=amount, cause=cause)

    def order(self, account: str, instrument: str, side: str, quantity: str, **more: str) -> dict[str, Any]:
        """An order by hand; `instrument` in its long form, `more` are type, limit_price and client_id."""
        found: dict[str, Any] = self.ask(
            "order", account=account, instrument=instrument, side=side, quantity=quantity, **more
        )
        return found

    def cancel(self, account: str, number: int) -> bool:
        """Cancel an order by hand; says whether it was open."""
        return bool(self.ask("cancel", account=account, number=number))

    # --- what clients do ----------------------------------------------------------------------------------------

    def requests(self, label: str = "*", *, since: int = 0) -> list[dict[str, Any]]:
        """Requests with a label of this pattern and a number above `since`, oldest first; no secrets."""
        return list(self.ask("requests", label=label, since=since))

    def streams(self, label: str = "*") -> list[dict[str, Any]]:
        """Open WebSockets with a label or topic of this pattern."""
        return list(self.ask("streams", label=label))

    def wait(
        self, label: str, count: int = 1, *, what: str = "requests", since: int = 0, within: str = "20s"
    ) -> list[dict[str, Any]]:
        """Wait for so many `requests`, `answers` or `streams`, and return them. Raises TimeoutError."""
        found = list(
            self.ask("wait", label=label, count=count, what=what, since=since, within_ns=duration(within))
        )
        if len(found) < count:
            raise TimeoutError(f"{len(found)} of {count} {what} of {label!r} came within {within}")
        return found


class _Thread:
    """A venue in a thread; it starts once, and stops once."""

    def __init__(self, words: dict[str, Any]) -> None:
        self._words = words
        self._ready = threading.Event()
        self._addresses: Mapping[str, str] = {}
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="fairlead-venue", daemon=True)

    def start_and_wait(self) -> dict[str, str]:
        self._thread.start()
        self._ready.wait(_PATIENCE)
        if self._error is not None:
            self._thread.join(_PATIENCE)
            raise self._error
        return dict(self._addresses)

    def stop(self) -> None:
        if self._loop is not None and self._ended is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            self._ready.set()

    async def _serve(self) -> None:
        from fairlead_venue.opening import box_of

        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        port = self._words.pop("port")
        box = box_of(**self._words)
        try:
            self._addresses = await box.open(port=port)
            self._ready.set()
            await self._ended.wait()
        finally:
            await box.close()


def _start_process(words: dict[str, Any]) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start one, its settings as JSON on its standard input, which ends it when it closes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead_venue", "--settings-from-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(_encoder.encode(words) + b"\n")
    process.stdin.flush()
    said = process.stdout.readline()
    if not said:
        process.wait(_PATIENCE)
        raise VenueRefused("the venue's process ended before it listened: its standard error says why")
    found: dict[str, str] = json.loads(said)
    return process, {key: str(value) for key, value in found.items()}


def _cash(cash: Cash | None) -> list[str]:
    if cash is None:
        return []
    if isinstance(cash, Mapping):
        return [f"{amount} {currency}" for currency, amount in cash.items()]
    return [cash] if isinstance(cash, str) else [str(item) for item in cash]  # type: ignore[union-attr]


def _ticks(pairs: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    if isinstance(pairs, Mapping):
        return {pair: str(tick) for pair, tick in pairs.items()}
    return dict.fromkeys(pairs, "0.01")
