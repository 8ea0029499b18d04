"""A kill by a process of its own, over its own connection to the venue: for an engine that hangs.

First word is left in the account's home and the fence is put up, so that the engine sends nothing past it when it
wakes. Then the orders are canceled, those that wait for a price last, and everything that the venue has besides. The
positions are closed where that is wanted. What the venue shows is looked at in the end, and once more when nothing that
the engine had sent before the fence can still arrive.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import attrs

from fairlead._engine.ownership import home_of
from fairlead._kernel.clock import SystemTime
from fairlead._kernel.desk import client_order_id
from fairlead._models.instrument import Instrument
from fairlead._models.orders import OrderIntent, OrderType, Side
from fairlead._models.venue import Cancel, CancelAll, OrderReport, Snapshot, Submit, VenueProfile
from fairlead._secrets.scrub import said
from fairlead._storage.home import AccountHome
from fairlead._storage.outside import OutsideKill, write_kill
from fairlead._storage.pulse import Pulse
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError
from fairlead.ports import BrokerAdapter, Handle, Rejected, Report
from fairlead.units import SECOND

LOOK_SECONDS = 0.25
"""How often the venue is asked what is left, and the pulse is looked at."""

PATIENCE_SECONDS = 2.0
"""For so long what waits for a price outlives what could open a position."""

_AGAIN_SECONDS = 1.0
_NOBODY = 0


@attrs.frozen
class Order:
    """What is to be done: by whom and why, closing positions too or not, and for how long it is tried."""

    who: str
    why: str
    flatten: bool = False
    within_seconds: float = 60.0


@attrs.define
class Outcome:
    """What was done on one account. `left` says in words what could not be, and is empty where all is verified."""

    account: str
    venue: str
    environment: str
    canceled: list[str] = attrs.Factory(list)
    closed: list[str] = attrs.Factory(list)
    left: list[str] = attrs.Factory(list)
    engine: int = 0


def targets(
    brokers: Mapping[str, BrokerAdapter], folder: RunFolder, account: str | None
) -> tuple[dict[str, BrokerAdapter], list[str]]:
    """The brokers to act on, and why not on others. Raises ConfigurationError where none is left."""
    if account is not None and account not in brokers:
        raise ConfigurationError(f"there is no account {account!r} here (there are: {', '.join(brokers)})")
    chosen = brokers if account is None else {account: brokers[account]}
    there = {name: broker for name, broker in chosen.items() if not broker.profile.exact}
    skipped = [
        f"account {name} is simulated inside the engine's own process, and no other process reaches its orders: end "
        f"that process; they rest in {folder.paper} until its next start, which `fairlead kill` can end for good"
        for name in chosen
        if name not in there
    ]
    if not there:
        raise ConfigurationError("; ".join(skipped))
    return there, skipped


class Watch:
    """Waits until the engine of some accounts has been silent for so long; one that ended in good order is not."""

    def __init__(self, brokers: Mapping[str, BrokerAdapter], folder: RunFolder, seconds: float) -> None:
        self._pulses = {name: _pulse(home_of(name, one, folder).folder) for name, one in brokers.items()}
        self._time = SystemTime()
        self._span = int(seconds * SECOND)

    async def silent(self) -> str:
        """The account whose engine fell silent first."""
        seen = {name: (pulse.count, self._time.now()) for name, pulse in self._pulses.items()}
        while True:
            now = self._time.now()
            for name, pulse in self._pulses.items():
                count, since = seen[name]
                if pulse.count != count or not pulse.alive:
                    seen[name] = (pulse.count, now)
                elif now - since >= self._span:
                    return name
            await asyncio.sleep(min(LOOK_SECONDS, self._span / SECOND / 4))


async def kill(
    brokers: Mapping[str, BrokerAdapter],
    folder: RunFolder,
    order: Order,
    say: Callable[[str], None],
) -> list[Outcome]:
    """Kill these accounts, all at a time; each to its end, whatever becomes of the others."""
    kills = [
        _Kill(name, broker, home_of(name, broker, folder), order, say) for name, broker in brokers.items()
    ]
    for one in kills:  # every fence stands before anything is canceled
        one.fence()
    return list(await asyncio.gather(*(one.run() for one in kills)))


def _pulse(folder: Path) -> Pulse:
    try:
        return Pulse(folder)
    except OSError as error:
        raise ConfigurationError(f"the pulse in {folder} cannot be reached: {error.strerror}") from error


class _LoopClock:
    """What an adapter needs of a clock, on the running loop."""

    def __init__(self) -> None:
        self._time = SystemTime()

    def now(self) -> int:
        return self._time.now()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(max(0.0, self._time.delay(when_ns)), callback)


class _Kill:
    """The kill of one account."""

    def __init__(
        self,
        name: str,
        broker: BrokerAdapter,
        home: AccountHome,
        order: Order,
        say: Callable[[str], None],
    ) -> None:
        profile = broker.profile
        self._name, self._broker, self._order = name, broker, order
        self._profile: VenueProfile = profile
        self._folder, self._holder = home.folder, home.holder
        self._tell = say
        self._clock = _LoopClock()
        self._outcome = Outcome(name, profile.venue, profile.environment, engine=home.holder)
        self._known: dict[str, OrderReport] = {}
        self._instruments: dict[str, Instrument] = {}
        self._refused: list[str] = []
        self._at_ns = self._ends_ns = 0

    # --- from the fence to the report -----------------------------------------------------------------------

    def fence(self) -> None:
        """Leave word, and let the engine send nothing more. Raises ConfigurationError where that cannot be."""
        self._at_ns = self._clock.now()
        self._ends_ns = self._at_ns + int(self._order.within_seconds * SECOND)
        try:
            self._write(done=False)
            pulse = _pulse(self._folder)
            pulse.fence()
            pulse.close()
        except OSError as error:
            raise ConfigurationError(
                f"the engine of account {self._name} cannot be fenced: {error}: nothing was canceled"
            ) from error
        self._say("the fence is up: its engine sends nothing more")

    async def run(self) -> Outcome:
        """Withdraw everything, close what is wanted, verify; what went wrong is in the outcome."""
        try:
            await self._connect()
            await self._act()
        except TimeoutError:
            self._outcome.left.append(f"{self._order.within_seconds:g} s were not enough")
        except Exception as error:  # an adapter can fail in any way: the other accounts go on
            self._outcome.left.append(said(error))
        finally:
            await self._leave()
        self._write(done=True)
        return self._outcome

    async def _act(self) -> None:
        await self._withdraw()
        if self._order.flatten:
            await self._flatten()
        await self._look_again()
        snapshot = await self._snapshot()
        await self._leave_filled_out()
        for order in snapshot.orders or ():
            self._outcome.left.append(f"order {_id(order)} still works at the venue")
        if self._order.flatten:
            for name, quantity in self._open_positions(snapshot).items():
                self._outcome.left.append(f"{quantity.normalize():f} {name} is still held")

    async def _connect(self) -> None:
        broker = self._broker
        async with asyncio.timeout(self._left()):
            self._instruments = {found.id: found for found in await broker.instruments()}
            await broker.connect(self._heard, self._clock)
        self._say(f"connected to {self._profile.venue}")

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(5.0):
                await self._broker.close()
        except Exception as error:  # it is over either way
            self._say(f"the connection was not closed in good order ({said(error)})")

    def _heard(self, report: Report) -> None:
        if isinstance(report, Rejected):
            self._refused.append(f"the venue refused a closing order: {report.reason or report.code}")

    def _write(self, *, done: bool) -> None:
        found = self._outcome
        write_kill(
            self._folder,
            OutsideKill(
                at_ns=self._at_ns,
                who=self._order.who,
                why=self._order.why,
                pid=os.getpid(),
                canceled=tuple(found.canceled),
                closed=tuple(found.closed),
                left=tuple(found.left),
                done=done,
            ),
        )

    # --- orders ---------------------------------------------------------------------------------------------

    async def _withdraw(self) -> None:
        """Cancel what could open first, then everything, until the venue shows no order any more."""
        entries = [one for one in await self._orders() if one.stop_price is None]
        await self._cancel(entries)
        patient = self._clock.now() + int(PATIENCE_SECONDS * SECOND)
        while self._clock.now() < patient and any(_id(one) in _ids(entries) for one in await self._orders()):
            await self._pause()
        await self._cancel_everything()
        said = len(self._outcome.canceled)
        self._say(f"{said} order{'' if said == 1 else 's'} canceled, and the venue shows none")

    async def _cancel_everything(self) -> None:
        self._send(CancelAll("", self._deadline()))
        again = self._clock.now() + int(_AGAIN_SECONDS * SECOND)
        while orders := await self._orders():
            if self._clock.now() >= again:
                await self._cancel(orders)
                self._send(CancelAll("", self._deadline()))
                again = self._clock.now() + int(_AGAIN_SECONDS * SECOND)
            await self._pause()

    async def _orders(self) -> Sequence[OrderReport]:
        """The open orders; what was there and is not any more was canceled."""
        orders = (await self._snapshot()).orders or ()
        there = _ids(orders)
        for name in [name for name in self._known if name not in there]:
            del self._known[name]
            self._outcome.canceled.append(name)
        self._known.update({_id(one): one for one in orders})
        return orders

    async def _leave_filled_out(self) -> None:
        """What is gone because it filled was not canceled."""
        gone = self._outcome.canceled
        async with asyncio.timeout(self._left()):
            found = await self._broker.lookup(gone) if gone else {}
        filled = {name for name, one in found.items() if one and one.filled_quantity >= one.quantity}
        self._outcome.canceled = [name for name in gone if name not in filled]

    async def _cancel(self, orders: Sequence[OrderReport]) -> None:
        """One cancel for each, no faster than the venue takes them."""
        pace = max(
            (limit.window_ns * limit.cancel / limit.weight for limit in self._profile.rate_limits), default=0
        )
        for one in orders:
            self._send(Cancel(one.client_order_id, one.broker_order_id, one.instrument, self._deadline()))
            if pace:
                await asyncio.sleep(pace / SECOND)

    # --- positions ------------------------------------------------------------------------------------------

    async def _flatten(self) -> None:
        """Close every position by reduce-only market orders; one is tried again when the last can do no more."""
        attempt, last = 0, self._ends_ns - 2 * self._late_ns()
        while not attempt or self._clock.now() < last:  # there is time left to look at what comes of it
            attempt = min(attempt + 1, 0xFF)
            held = self._open_positions(await self._snapshot())
            if not held:
                return
            for name, quantity in held.items():
                self._close(name, quantity, attempt)
            over = self._clock.now() + self._profile.answer_ns
            while self._open_positions(await self._snapshot()) and self._clock.now() < over:
                await self._pause()
            if not self._open_positions(await self._snapshot()):
                return
            await self._cancel_everything()  # none of them may still fill when the next one is sent
            await self._until(self._clock.now() + self._late_ns())
        self._outcome.left += dict.fromkeys(self._refused)

    def _open_positions(self, snapshot: Snapshot) -> dict[str, Decimal]:
        """What is held, but for spot, of which nobody knows what of it is traded here."""
        found = {}
        for name, quantity in (snapshot.positions or {}).items():
            rules = self._instruments.get(name)
            if quantity and not (rules is not None and rules.spot):
                found[name] = quantity
        return found

    def _close(self, instrument: str, held: Decimal, attempt: int) -> None:
        rules, quantity = self._instruments.get(instrument), abs(held)
        if rules is not None and rules.max_quantity is not None:
            quantity = min(quantity, rules.max_quantity)
        number = self._at_ns + len(self._outcome.closed)
        intent = OrderIntent(
            strategy="",
            account=self._name,
            instrument=instrument,
            side=Side.SELL if held > 0 else Side.BUY,
            quantity=quantity,
            type=OrderType.MARKET,
            reduce_only=True,
            tag="kill",
            who=self._order.who,
        )
        name = client_order_id(_NOBODY, 0, number, attempt)
        self._send(Submit(name, intent, quantity, self._profile.reduce_only, self._deadline()))
        self._outcome.closed.append(f"{intent.side} {quantity.normalize():f} {instrument}")
        self._say(f"closing {held.normalize():f} {instrument}")

    # --- what may still arrive ------------------------------------------------------------------------------

    async def _look_again(self) -> None:
        """What the engine had sent just before the fence may arrive until its validity ends: look once more then."""
        if not self._holder:
            return
        if self._profile.validity_ns is None:
            self._say("the venue sets no bound to how late an order may arrive: look at it again")
            return
        self._say(f"waiting {self._late_ns() / SECOND:.3g} s for what may still be on its way")
        await self._until(self._at_ns + self._late_ns())
        if await self._orders():
            await self._cancel_everything()
            if self._order.flatten:
                await self._flatten()

    def _late_ns(self) -> int:
        return (self._profile.validity_ns or 0) + self._profile.query_lag_ns + SECOND // 2

    # --- small things ---------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._tell(f"{self._name}: {text}")

    def _send(self, command: Cancel | CancelAll | Submit) -> None:
        self._broker.send(command)

    async def _snapshot(self) -> Snapshot:
        """The account as a venue shows it that answers. Raises TimeoutError when the time is over."""
        while True:
            try:
                async with asyncio.timeout(min(self._left(), 10.0)):
                    found = await self._broker.snapshot()
                if found.orders is not None and (found.positions is not None or not self._order.flatten):
                    return found
            except Exception as error:  # the account's time is looked at before it is asked again
                self._say(f"the venue does not answer ({said(error)}): asking again")
            await self._pause()

    async def _pause(self) -> None:
        self._left()
        await asyncio.sleep(LOOK_SECONDS)

    async def _until(self, when_ns: int) -> None:
        await asyncio.sleep(max(0.0, (when_ns - self._clock.now()) / SECOND))

    def _left(self) -> float:
        left = (self._ends_ns - self._clock.now()) / SECOND
        if left <= 0:
            raise TimeoutError
        return left

    def _deadline(self) -> int:
        return self._clock.now() + self._profile.patience_ns


def _id(order: OrderReport) -> str:
    return order.client_order_id or order.broker_order_id


def _ids(orders: Sequence[OrderReport]) -> set[str]:
    return {_id(one) for one in orders}
