"""The control line of a venue: one JSON object to a line, on loopback, for whoever runs it.

A request is `{"id": 1, "do": "push", ...}`, its answer `{"id": 1, "ok": ...}` or `{"id": 1, "error": "why"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead import ConfigurationError, FairleadError, OrderType, Side, TimeInForce, decimal
from fairlead.ports import MarketEvent
from fairlead_venue.account import Account
from fairlead_venue.choices import check_faults
from fairlead_venue.faults import Fault
from fairlead_venue.feed import happening
from fairlead_venue.orders import Execution, VenueOrder, Wanted

if TYPE_CHECKING:
    from fairlead_venue.box import Box

_LIMIT = 16 << 20
_encoder = msgspec.json.Encoder(decimal_format="string")


class Control:
    """Answers the control line of a box."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._verbs: dict[str, Callable[..., Any]] = {
            "push": self._push, "fault": self._fault, "now": self._now, "clear": self._clear, "books": self._books,
            "requests": self._requests, "streams": self._streams, "wait": self._wait, "clock": self._clock,
            "deposit": self._deposit, "order": self._order, "cancel": self._cancel, "instrument": self._instrument,
        }  # fmt: skip

    async def open(self, host: str) -> str:
        """Listen; returns the address."""
        self._server = await asyncio.start_server(self._serve, host, 0, limit=_LIMIT)
        bound = self._server.sockets[0].getsockname()
        return f"tcp://{bound[0]}:{bound[1]}"

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while text := await reader.readline():
                writer.write(_encoder.encode(await self._answer(text)) + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError, ValueError):
            pass  # it left, this process ends, or its line was too long
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, text: bytes) -> dict[str, Any]:
        number: Any = None
        try:
            words = msgspec.json.decode(text, type=dict[str, Any])
            number = words.pop("id", None)
            verb = self._verbs.get(words.pop("do", ""))
            if verb is None:
                raise ConfigurationError(f"a request does one of {', '.join(self._verbs)}")
            done = verb(**words)
            return {"id": number, "ok": await done if isinstance(done, Awaitable) else done}
        except (FairleadError, msgspec.MsgspecError, TypeError, ValueError, KeyError) as error:
            return {"id": number, "error": f"{type(error).__name__}: {error}"}

    # --- the market ---------------------------------------------------------------------------------------------

    def _push(self, events: list[Any]) -> None:
        now = self._box.clock.now()
        for event in msgspec.convert(events, list[MarketEvent]):
            self._box.exchange.market(event if event.received_ns else happening(event, now))

    def _instrument(self, name: str, changes: Mapping[str, str]) -> None:
        exchange = self._box.exchange
        for instrument in exchange.named(name):
            exchange.change(instrument.id, {key: decimal(value, key) for key, value in changes.items()})

    # --- faults -------------------------------------------------------------------------------------------------

    def _fault(self, **words: Any) -> None:
        fault = Fault.of(words)
        check_faults(self._box.front, [fault])
        self._box.faults.add(fault)

    def _now(self, **words: Any) -> None:
        self._box.server.gate.now(Fault.of(words))

    def _clear(self) -> None:
        self._box.faults.clear()
        self._box.server.gate.clear()

    def _clock(self, advance_ns: int = 0, skew_ns: int | None = None) -> int:
        clock = self._box.clock
        if skew_ns is not None:
            clock.skew(skew_ns)
        if advance_ns:
            clock.advance(advance_ns)
        return clock.now()

    # --- what happened ------------------------------------------------------------------------------------------

    def _requests(self, label: str = "*", since: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "number": seen.number, "at_ns": seen.at_ns, "method": seen.method, "path": seen.path,
                "labels": seen.labels, "params": seen.params, "faults": seen.faults, "outcome": seen.outcome,
            }
            for seen in self._box.server.log.seen
            if seen.number > since and _matches(label, seen.labels)
        ]  # fmt: skip

    def _streams(self, label: str = "*") -> list[dict[str, Any]]:
        return [
            {
                "number": channel.number,
                "path": channel.path,
                "labels": channel.labels,
                "topics": list(channel.topics),
            }
            for channel in self._box.server.channels
            if _matches(label, [*channel.labels, *channel.topics])
        ]

    async def _wait(
        self,
        label: str,
        count: int = 1,
        since: int = 0,
        within_ns: int = 5_000_000_000,
        what: str = "requests",
    ) -> list[dict[str, Any]]:
        """Wait for so many requests, their answers, or streams; what there was at the end says so by its number."""

        def found() -> list[dict[str, Any]]:
            if what == "streams":
                return self._streams(label)
            rows = self._requests(label, since)
            return [row for row in rows if what != "answers" or row["outcome"] not in {"open", "lost"}]

        changed = asyncio.Event()
        self._box.server.log.listen(changed.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_ns / 1e9):
                while len(found()) < count:
                    await changed.wait()
                    changed.clear()
        self._box.server.log.forget(changed.set)
        return found()

    # --- the books ----------------------------------------------------------------------------------------------

    def _books(self) -> dict[str, Any]:
        return {name: _book(account) for name, account in self._box.exchange.accounts.items()}

    def _deposit(self, account: str, currency: str, amount: str, cause: str = "deposit") -> None:
        self._account(account).deposit(currency, decimal(amount, "amount"), cause)

    def _order(
        self, account: str, instrument: str, side: str, quantity: str, type: str = "market",
        limit_price: str | None = None, client_id: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """An order by hand, as another program or a person might place it."""
        rules = self._box.exchange.tapes[instrument].instrument
        wanted = Wanted(
            instrument=rules, side=Side(side), type=OrderType(type), quantity=decimal(quantity, "quantity"),
            limit_price=None if limit_price is None else decimal(limit_price, "limit_price"), client_id=client_id,
            time_in_force=TimeInForce.IOC if type == "market" else TimeInForce.GTC,
        )  # fmt: skip
        return _order(self._account(account).place(wanted))

    def _cancel(self, account: str, number: int) -> bool:
        home = self._account(account)
        return home.cancel(home.orders[number])

    def _account(self, name: str) -> Account:
        accounts = self._box.exchange.accounts
        if name not in accounts:
            raise ConfigurationError(f"there is no account {name!r}: there are {', '.join(accounts)}")
        return accounts[name]


def _matches(pattern: str, labels: Any) -> bool:
    return any(fnmatchcase(label, pattern) for label in labels)


def _order(order: VenueOrder) -> dict[str, Any]:
    wanted = order.wanted
    return {
        "number": order.number, "client_id": wanted.client_id, "instrument": wanted.instrument.id,
        "side": wanted.side, "type": wanted.type, "quantity": wanted.quantity, "limit_price": wanted.limit_price,
        "stop_price": wanted.stop_price, "status": order.status, "filled": order.filled, "code": order.code,
        "average_price": order.average_price, "cause": order.cause,
    }  # fmt: skip


def _execution(done: Execution) -> dict[str, Any]:
    return {
        "number": done.number, "order": done.order.number, "client_id": done.order.wanted.client_id,
        "instrument": done.order.wanted.instrument.id, "side": done.order.wanted.side, "quantity": done.quantity,
        "price": done.price, "fee": done.fee, "fee_currency": done.fee_currency, "maker": done.maker,
        "realised": done.realised, "busted": done.busted, "at_ns": done.at_ns,
    }  # fmt: skip


def _book(account: Account) -> dict[str, Any]:
    return {
        "cash": _plain(account.cash),
        "balances": _plain(account.balances()),
        "positions": {
            name: {"quantity": held.quantity, "average_price": held.average_price, "funding": held.funding}
            for name, held in account.holdings().items()
            if held.quantity
        },
        "orders": [_order(order) for order in account.orders.values()],
        "executions": [_execution(done) for done in account.executions],
    }


def _plain(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in amounts.items() if amount}
