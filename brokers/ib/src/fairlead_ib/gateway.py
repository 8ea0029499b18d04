"""The seam to the SDK: one socket to TWS or IB Gateway, what it says as it says it, questions with their answers."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from itertools import count
from types import SimpleNamespace
from typing import Any

from fairlead import ConfigurationError, ConnectivityError, VenueError
from fairlead.net import Weights
from fairlead_ib import codes
from fairlead_ib.profile import SECOND

log = logging.getLogger("fairlead.ib")

PATIENCE = 10.0
"""Seconds that an answer is waited for."""

_FIRST_REQUEST = 1_000_000_000
"""Errors bear an id of an order or of a request: these are never the same number."""

Handlers = Mapping[str, Callable[..., None]]


class Ear:
    """What the SDK calls for each message that it has read; of what nobody here wants it takes no notice."""

    ib = SimpleNamespace(TimezoneTWS=UTC)

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        vars(self)["defaultTimezone"] = UTC

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._handlers.get(name, _nothing)


class Unread:
    """Stands for the SDK's logger of messages that it could not read: what it would only log is told."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told

    def exception(self, *_: object) -> None:
        """A message, or what was made of it, raised."""
        error = sys.exception()
        self._told(f"{type(error).__name__}: {error}")


class Question:
    """Rows of an answer, until it is complete."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """It is complete."""
        if not self.done.done():
            self.done.set_result(self.rows)

    def fail(self, error: Exception) -> None:
        """There is none."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # who asked may have left


class Gateway:
    """One connection as one client. `handlers` hear messages by the names of IB's own API, `lost` that it broke.

    `per_second` is how many questions a second are asked: what goes over it beside them needs its share.
    """

    def __init__(
        self,
        sdk: Any,
        address: tuple[str, int],
        client_id: int,
        *,
        handlers: Handlers,
        lost: Callable[[str], None],
        now: Callable[[], int],
        per_second: int,
    ) -> None:
        self.sdk = sdk
        self.client_id = client_id
        self.online = True
        """Whether TWS has its connection to IB."""
        self.accounts: list[str] = []
        self.next_order_id = 1
        self._address = address
        self._lost = lost
        self._weights = Weights(per_second, SECOND, now)
        self._numbers = count(_FIRST_REQUEST)
        self._asked: dict[int | str, Question] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._handlers = handlers
        self._refusal = ""
        self._open = False
        self._back = asyncio.Event()
        own: dict[str, Callable[..., None]] = {
            "nextValidId": self._on_next_id, "managedAccounts": self._on_accounts, "error": self._on_error,
            "connectionClosed": self._on_closed, "contractDetails": self._row, "contractDetailsEnd": self._end,
            "execDetails": self._on_execution, "execDetailsEnd": self._end,
            "accountUpdateMulti": self._row, "accountUpdateMultiEnd": self._end,
            "historicalData": self._row, "historicalDataEnd": self._end,
            "position": self._on_position, "positionEnd": lambda: self._end("positions"),
            "openOrder": self._on_open_order, "orderStatus": self._on_order_status,
            "openOrderEnd": lambda: self._end("orders"), "completedOrder": self._on_completed,
            "completedOrdersEnd": lambda: self._end("completed"), "marketRule": self._on_rule,
            "currentTime": self._on_time,
        }  # fmt: skip
        self.client = sdk.client.Client(Ear({**handlers, **own}))
        self.client.MaxRequests = 0  # one queue for orders and data would let orders wait
        self.client.decoder.logger = Unread(self._unread)

    # --- its life -----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, and hear which accounts there are. Raises ConnectivityError."""
        host, port = self._address
        connecting = asyncio.ensure_future(
            self.client.connectAsync(host, port, self.client_id, timeout=PATIENCE)
        )
        refused = asyncio.ensure_future(self._back.wait())
        try:
            await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise ConnectivityError(self._refusal)
            connecting.result()
        except (OSError, TimeoutError) as error:
            why = self._refusal or str(error) or "it does not answer"
            raise ConnectivityError(
                f"no TWS or IB Gateway takes us at {host}:{port}: {why}; look whether its API is switched on"
            ) from error
        finally:
            for task in (connecting, refused):
                task.cancel()
            await asyncio.gather(connecting, refused, return_exceptions=True)
            self._back.clear()
            if not self.client.isReady():
                self._hang_up()
        self._open = True

    def close(self) -> None:
        """Leave; harmless to repeat."""
        self._open = False
        self._hang_up()
        self._fail(ConnectivityError("the connection was closed"))

    def _hang_up(self) -> None:
        try:
            self.client.disconnect()
        except OSError:  # the SDK ends a socket in good order, which one that was reset does not let it
            if (transport := self.client.conn.transport) is not None:
                transport.abort()
            self.client.reset()

    @property
    def ready(self) -> bool:
        """Whether messages can be written that reach IB."""
        return self._open and self.online and bool(self.client.isReady())

    @property
    def connected(self) -> bool:
        """Whether TWS is there, whatever its own connection does."""
        return self._open and bool(self.client.isReady())

    def fail(self, reason: str) -> None:
        """Give the connection up."""
        if self._open:
            self.close()
            self._lost(reason)

    async def restored(self) -> None:
        """Wait until TWS has its connection to IB again. Raises ConnectivityError after a while."""
        try:
            await asyncio.wait_for(self._back.wait(), PATIENCE)
        except TimeoutError:
            raise ConnectivityError("TWS has no connection to Interactive Brokers") from None
        finally:
            self._back.clear()

    def order_id(self) -> int:
        """An id for a new order: higher than any that was seen, or an old order would be changed instead."""
        number = self.next_order_id
        self.next_order_id += 1
        return number

    def number(self) -> int:
        """An id for a request."""
        return next(self._numbers)

    async def turn(self, weight: int = 1) -> None:
        """Wait until a message that is no order may be written."""
        await self._weights.acquire(weight)

    # --- questions ----------------------------------------------------------------------------------------------

    async def ask(self, write: Callable[[int], None], *, patience: float = PATIENCE) -> list[Any]:
        """A question with an id. Raises ConnectivityError where no answer comes, VenueError for an error's code."""
        number = self.number()
        return await self._wait(number, lambda: write(number), patience)

    async def ask_once(
        self, what: str, write: Callable[[], None], *, patience: float = PATIENCE
    ) -> list[Any]:
        """A question without an id: `positions`, `orders`, `completed`, `time`, or a rule; one of each at a time."""
        async with self._turns.setdefault(what, asyncio.Lock()):
            return await self._wait(what, write, patience)

    async def _wait(self, key: int | str, write: Callable[[], None], patience: float) -> list[Any]:
        await self.turn()
        if not self.connected:
            raise ConnectivityError("there is no connection to TWS")
        question = self._asked[key] = Question()
        try:
            write()
            return await asyncio.wait_for(question.done, patience)
        except TimeoutError:
            raise ConnectivityError(f"TWS gave no answer within {patience:g} s") from None
        except ConnectionError as error:
            raise ConnectivityError(str(error)) from None
        finally:
            self._asked.pop(key, None)

    async def alive(self, patience: float) -> None:
        """Ask for the time, the one question that is there to be answered. Raises ConnectivityError."""
        await self.ask_once("time", self.client.reqCurrentTime, patience=patience)

    def _fail(self, error: Exception) -> None:
        for question in list(self._asked.values()):
            question.fail(error)

    def _row(self, number: int, *values: Any) -> None:
        if (question := self._asked.get(number)) is not None:
            question.rows.append(values[0] if len(values) == 1 else values)
        elif (handler := self._handlers.get("historicalData")) is not None:
            handler(number, *values)

    def _end(self, key: int | str, *_: Any) -> None:
        if (question := self._asked.get(key)) is not None:
            question.end()
        elif (handler := self._handlers.get("historicalDataEnd")) is not None:
            handler(key)

    # --- messages -----------------------------------------------------------------------------------------------

    def _pass(self, name: str, *values: Any) -> None:
        if (handler := self._handlers.get(name)) is not None:
            handler(*values)

    def _keep(self, key: str, row: Any) -> None:
        if (question := self._asked.get(key)) is not None:
            question.rows.append(row)

    def _on_next_id(self, number: int) -> None:
        self.next_order_id = max(self.next_order_id, number)

    def _on_accounts(self, accounts: str) -> None:
        self.accounts = [name for name in accounts.split(",") if name]

    def _on_execution(self, number: int, contract: Any, execution: Any) -> None:
        if execution.clientId == self.client_id:
            self.next_order_id = max(self.next_order_id, execution.orderId + 1)
        if (question := self._asked.get(number)) is not None:
            question.rows.append((contract, execution))
        else:
            self._pass("execDetails", contract, execution)

    def _on_open_order(self, number: int, contract: Any, order: Any, state: Any) -> None:
        if order.clientId == self.client_id:
            self.next_order_id = max(self.next_order_id, number + 1)
        self._keep("orders", ("order", order.permId, (contract, order, state)))
        self._pass("openOrder", contract, order, state)

    def _on_order_status(self, number: int, status: str, filled: float, *more: Any) -> None:
        perm_id, client_id = more[2], more[5]
        self._keep("orders", ("status", perm_id, (status, filled, more[1])))
        self._pass("orderStatus", number, client_id, perm_id, status, filled)

    def _on_completed(self, contract: Any, order: Any, state: Any) -> None:
        self._keep("completed", (contract, order, state))

    def _on_position(self, account: str, contract: Any, quantity: float, cost: float) -> None:
        self._keep("positions", (account, contract, quantity, cost))

    def _on_rule(self, number: int, steps: list[Any]) -> None:
        if (question := self._asked.get(f"rule {number}")) is not None:
            question.rows.extend(step.increment for step in steps)
            question.end()

    def _on_time(self, _time: int) -> None:
        self._end("time")

    def _on_error(self, number: int, code: int, text: str, *_: Any) -> None:
        if (question := self._asked.get(number)) is not None:
            question.fail(VenueError(f"{code} {text}", code=str(code)))
            return
        if code == codes.CLIENT_ID_IN_USE:
            self._refusal = (
                f"client id {self.client_id} is in use: another program has it, or ours did just now"
            )
            self._back.set()
        elif code in codes.BROKEN and self.online and self._open:
            self.online = False
            self._lost(f"{code} {text}")
        elif code in codes.BACK:
            self.online = True
            self._pass("restored", code == codes.RESTORED_DATA_LOST)
            self._back.set()
        elif number > 0 or code not in codes.FARM_OK:
            log.log(
                logging.DEBUG if number > 0 else logging.WARNING, "TWS says of %s: %s %s", number, code, text
            )
        self._pass("error", number, code, text)

    def _on_closed(self) -> None:
        was, self._open = self._open, False
        self._fail(ConnectivityError("the connection was lost"))
        if was:
            self._lost("TWS closed the connection")

    def _unread(self, why: str) -> None:
        # Called while the SDK handles what it has read: it goes on before the connection is given up.
        log.error(
            "TWS sent a message that cannot be understood (%s): what was missed is asked for again", why
        )
        asyncio.get_running_loop().call_soon(self.fail, "a message could not be understood")


def address_of(text: str) -> tuple[str, int]:
    """`host:port` as a pair. Raises ConfigurationError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"url={text!r} is no address of TWS: write 127.0.0.1:7497")
    return host, int(port)


def _nothing(*_: Any) -> None:
    """Nobody wants to hear it."""
