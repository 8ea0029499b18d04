"""The base class of strategies: what a user overrides, and what a user calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self

from fairlead._models.accounts import Profit
from fairlead._models.market import Bar, Book, Quote, Trade
from fairlead._models.orders import Fill, Order, Side, Verdict
from fairlead.errors import ConfigurationError
from fairlead.units import Money, Number

if TYPE_CHECKING:
    from fairlead._kernel.context import Context
    from fairlead._strategy.styles import Style
    from fairlead.sizing import Sizing

_BUY, _SELL = Side.BUY, Side.SELL


class Strategy:
    """Decides. Override the `on_…` handlers you need; call `buy`, `sell`, `close`, `target` and the rest.

    The same object runs in a backtest, on paper and live. Handlers may be plain functions or `async def`; a
    coroutine may await `self.ask(...)`, `self.wait(...)` and `self.sleep(...)` only. Handlers of one strategy
    never overlap. An order is judged at once: a refusal stands on the returned order, with all reasons.

    `name` (default: the class's) is unique in an engine and should not change, because what belongs to the
    strategy is kept under it. `allocation` is its share of the account, `"10_000 USDT"` or `"50%"`, needed
    where two strategies share one account. `errors` is what happens when a handler raises: `"halt"` stops this
    strategy alone; a number N drops the event and goes on until N faults.

    `on_exit` is what becomes of what it leaves when a run ends: `"leave"` lets working orders and positions be;
    `"cancel"` takes back what could still open something, and what only reduces a position stays; `"flatten"` closes
    its positions as well. What of that is not done in time goes on at the next start.
    """

    name: str = ""
    allocation: str | Money | None = None
    errors: str | int = "halt"
    on_exit: str = "leave"
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _context: Context | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember the arguments, so that the strategy can be built again elsewhere."""
        self = super().__new__(cls)
        self._arguments = (args, kwargs)
        if not cls.name:
            self.name = cls.__name__
        return self

    def __init__(
        self,
        *,
        name: str | None = None,
        allocation: str | Money | None = None,
        on_exit: Literal["leave", "cancel", "flatten"] | None = None,
    ) -> None:
        if name is not None:
            self.name = name
        if allocation is not None:
            self.allocation = allocation
        if on_exit is not None:
            self.on_exit = on_exit

    # --- handlers -------------------------------------------------------------------------------------------

    def on_start(self) -> Any:
        """The engine is ready: watch instruments, set timers. `self.restored` says whether it ran before."""

    def on_bar(self, bar: Bar) -> Any:
        """A bar of a watched interval closed."""

    def on_quote(self, quote: Quote) -> Any:
        """The best bid or ask of a watched instrument changed."""

    def on_trade(self, trade: Trade) -> Any:
        """Somebody traded a watched instrument."""

    def on_book(self, book: Book) -> Any:
        """The order book of a watched instrument changed."""

    def on_order(self, order: Order) -> Any:
        """One of your orders changed its status."""

    def on_fill(self, fill: Fill) -> Any:
        """One of your orders traded; positions and cash know of it already."""

    def on_timer(self, name: str) -> Any:
        """A timer without a function of its own came due."""

    def on_stop(self) -> Any:
        """The engine is about to end: only what reduces a position can still be ordered, and its fill be awaited."""

    def save(self) -> Any:
        """What to remember over a restart: anything made of dicts, lists, strings, numbers and None.

        It is called when a handler in which you placed an order ends or begins to wait, and at the stop, and is kept
        in one record with those orders. What changes without an order is kept with the next one: after a kill, `load`
        gets what was kept last.
        """
        return None

    def load(self, saved: Any) -> None:
        """Take back what `save` returned last, before `on_start`; not called where nothing was ever kept."""

    # --- watching -------------------------------------------------------------------------------------------

    def watch(
        self,
        instrument: str,
        *,
        bars: str | Sequence[str] = (),
        quotes: bool = False,
        trades: bool = False,
        book: bool = False,
        warmup: int = 0,
    ) -> None:
        """Have an instrument's events delivered from now on.

        `bars` are intervals (`"1m"`, `["1m", "1h"]`, `"tick:100"`, `"volume:50"`, `"value:1000000"`); of several
        that close together the small comes first. `warmup` bars of each are in `self.history` before the first
        `on_bar`. May be called at any time. Raises ConfigurationError for an instrument that no stream serves.
        """
        self._engine.watch(instrument, bars=bars, quotes=quotes, trades=trades, book=book, warmup=warmup)

    def unwatch(self, instrument: str) -> None:
        """Have no more events of an instrument; its positions and orders stay.

        Feeds that no other strategy watches, and that value no position or order, are given back to their stream.
        """
        self._engine.unwatch(instrument)

    def history(
        self, count: int | None = None, *, bars: str = "", instrument: str | None = None
    ) -> list[Bar]:
        """The last closed bars of a watched interval, oldest first; all that are kept (at least 1,000) without
        a count. `bars` may be left out when the instrument is watched at one interval.
        """
        return self._engine.history(count, bars, instrument)

    def quote(self, instrument: str | None = None) -> Quote | None:
        """The last quote, None before the first."""
        return self._engine.lane(instrument).quote

    def price(self, instrument: str | None = None) -> float | None:
        """The mark: middle of the quote, else last trade, else last close; None before the first."""
        return self._engine.lane(instrument).mark or None

    # --- trading --------------------------------------------------------------------------------------------

    def buy(
        self,
        quantity: Number | None = None,
        *,
        value: str | Number | None = None,
        percent: str | Number | None = None,
        size: Sizing | None = None,
        instrument: str | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: str | Number | None = None,
        time_in_force: str = "GTC",
        expires: Any = None,
        post_only: bool = False,
        reduce_only: bool = False,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        account: str | None = None,
        style: Style | None = None,
        venue_options: Mapping[str, str] | None = None,
        tag: str = "",
    ) -> Order:
        """Place a buy order. Give one of `quantity` (base units), `value` (money), `percent` (of equity), or a `size`.

        The prices given make the type: none is a market order, `limit_price` a limit, `stop_price` a stop, both
        a stop-limit, `trail` (a distance, or `"1%"`) a trailing stop. `take_profit` and `stop_loss` protect
        whatever part of it fills. `expires` (an aware datetime, ns, or a duration from now) goes with GTD.
        A stop-loss is below the price that a buy is entered at and above that of a sell, a take-profit on the other
        side. `percent` is `"50%"` or 0.5; more than all of it, as leverage allows, is written `"150%"`: a bare number
        above 1 is refused. A `size` works the quantity out: one of `fairlead.sizing` such as `RiskPerTrade("1%")`, or
        any function of (intent, account, market).
        Quantities are rounded down to the lot, limit prices never to your disadvantage.
        `instrument=None` is the only one watched. Raises ConfigurationError for an order that makes no sense; a
        refusal by a rule, a limit or a breaker stands on the returned order.
        """
        if size is not None:
            _alone(quantity, value, percent)
            quantity = self._engine.sized(
                size,
                _BUY,
                instrument,
                limit_price,
                stop_price,
                take_profit,
                stop_loss,
                reduce_only,
                account,
                tag,
            )
        return (self._context or self._engine).trade(
            _BUY,
            quantity,
            value,
            percent,
            instrument,
            limit_price,
            stop_price,
            trail,
            time_in_force,
            expires,
            post_only,
            reduce_only,
            take_profit,
            stop_loss,
            account,
            style,
            venue_options,
            tag,
        )

    def sell(
        self,
        quantity: Number | None = None,
        *,
        value: str | Number | None = None,
        percent: str | Number | None = None,
        size: Sizing | None = None,
        instrument: str | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: str | Number | None = None,
        time_in_force: str = "GTC",
        expires: Any = None,
        post_only: bool = False,
        reduce_only: bool = False,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        account: str | None = None,
        style: Style | None = None,
        venue_options: Mapping[str, str] | None = None,
        tag: str = "",
    ) -> Order:
        """Place a sell order; see `buy`."""
        if size is not None:
            _alone(quantity, value, percent)
            quantity = self._engine.sized(
                size,
                _SELL,
                instrument,
                limit_price,
                stop_price,
                take_profit,
                stop_loss,
                reduce_only,
                account,
                tag,
            )
        return (self._context or self._engine).trade(
            _SELL,
            quantity,
            value,
            percent,
            instrument,
            limit_price,
            stop_price,
            trail,
            time_in_force,
            expires,
            post_only,
            reduce_only,
            take_profit,
            stop_loss,
            account,
            style,
            venue_options,
            tag,
        )

    def check(
        self, order: Order | Literal["buy", "sell"], quantity: Number | None = None, **terms: Any
    ) -> Verdict:
        """What would become of an order: `check("buy", 1, limit_price=100)`, with the terms of `buy` and `sell`.

        Every rule, limit and breaker is asked, and every reason told; nothing is sent, reserved or written down, and
        nothing trips. An order that there is already is judged as if it were placed again. Raises ConfigurationError
        for an order that makes no sense.
        """
        if isinstance(order, Order):
            return self._engine.check(order)
        if order not in ("buy", "sell"):
            raise ConfigurationError(f"check of {order!r}: write 'buy' or 'sell', or give an order")
        place = self.buy if order == "buy" else self.sell
        return self._engine.check(lambda: place(quantity, **terms))

    def cancel(self, order: Order) -> None:
        """Take an order back. Repeating it, or canceling a closed order, does no harm."""
        self._engine.cancel(order)

    def replace(
        self,
        order: Order,
        *,
        quantity: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
    ) -> Order:
        """Give an order new terms, and return the order that is to work on them.

        Where its venue changes orders in place that is the order itself, PENDING_REPLACE until the venue has answered;
        it stays as it was if the venue refuses. Else the order is canceled and, once that is certain, what remains of
        it is placed anew: then it is the new one, HELD until then. `quantity` is the new total, what has filled
        included. What the gate refuses comes back denied.
        """
        return self._engine.replace(order, quantity, limit_price, stop_price)

    def close(
        self, instrument: str | None = None, *, account: str | None = None, tag: str = ""
    ) -> Order | None:
        """Close your position at the market, after canceling your orders there. None when there is none.

        Where the closing order may not be sent (a limit, trading is halted) it is denied, and your stops stay.
        """
        return self._engine.close(instrument, account, tag)

    def target(
        self,
        quantity: Number | None = None,
        *,
        value: str | Number | None = None,
        percent: str | Number | None = None,
        instrument: str | None = None,
        account: str | None = None,
        tag: str = "",
    ) -> Order | None:
        """Trade the difference to a wanted position (negative is short), working orders counted in.

        `percent` is written as for `buy`.
        None when there is nothing to trade.
        """
        return self._engine.target(quantity, value, percent, instrument, account, tag)

    def rebalance(
        self, weights: Mapping[str, Number], *, band: str | Number = "1%", account: str | None = None
    ) -> list[Order]:
        """Trade towards weights of your equity by instrument, reductions first; what is within `band` stays.

        Weights are written as `percent` is for `buy`.
        An instrument that you hold and that is not named is closed. Increases wait for the end of reductions.
        """
        return self._engine.rebalance(weights, band, account)

    def oco(
        self,
        side: str | Side,
        quantity: Number | None = None,
        *,
        limit_price: Number,
        stop_price: Number,
        value: str | Number | None = None,
        percent: str | Number | None = None,
        instrument: str | None = None,
        reduce_only: bool = False,
        account: str | None = None,
        tag: str = "",
    ) -> tuple[Order, Order]:
        """Place a limit and a stop order of which one only can fill. Returns (limit order, stop order)."""
        return self._engine.oco(
            Side(side),
            quantity,
            value=value,
            percent=percent,
            limit_price=limit_price,
            stop_price=stop_price,
            instrument=instrument,
            reduce_only=reduce_only,
            account=account,
            tag=tag,
        )

    def position(self, instrument: str | None = None, *, account: str | None = None) -> Decimal:
        """Your signed quantity of an instrument; 0 when flat."""
        return self._engine.position(instrument, account)

    def entry(self, instrument: str | None = None, *, account: str | None = None) -> Decimal | None:
        """Your average entry price; None when flat."""
        return self._engine.entry(instrument, account)

    def orders(self, instrument: str | None = None) -> list[Order]:
        """Your orders that are not closed."""
        return self._engine.orders(instrument)

    def pnl(self, instrument: str | None = None) -> Profit:
        """What you have earned: realised, unrealised, fees, funding, today."""
        return self._engine.pnl(instrument)

    @property
    def equity(self) -> float | None:
        """Your allocation and what you have earned on it (the whole account's equity without an allocation)."""
        return self._engine.equity()

    @property
    def cash(self) -> float | None:
        """What of your equity is in no position."""
        return self._engine.cash()

    # --- time -----------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The engine's time in nanoseconds UTC: that of the event in hand."""
        return self._engine.now

    @property
    def restored(self) -> bool:
        """Whether this start continues an earlier one."""
        return self._engine.restored

    def every(self, interval: str, function: Callable[[], Any] | None = None, *, name: str = "") -> None:
        """Call a method of this strategy at each full `interval` of UTC time; without one, `on_timer(name)`.

        An interval is written out, `"900s"` or `"15m"`, and no shorter than `"1ms"`: a bare number is refused.
        The timer is durable: after a restart call `every` again, and what came due meanwhile runs once.
        """
        self._engine.every(interval, function, name)

    def at(self, when: Any, function: Callable[[], Any] | None = None, *, name: str = "") -> None:
        """Call a method once, at an aware datetime, nanoseconds since 1970 in UTC, or a duration from now (`"900s"`).

        What has been called is not called again after a restart; see `every`.
        """
        self._engine.at(when, function, name)

    def cancel_timer(self, name: str) -> None:
        """Let a timer fire no more; harmless to repeat."""
        self._engine.cancel_timer(name)

    def sleep(self, duration: str) -> Awaitable[None]:
        """Await it to let time pass; your other events wait in the mailbox."""
        return self._engine.sleep(duration)

    def wait(self, order: Order, *, within: str) -> Awaitable[Order]:
        """Await it to see an order closed, or the time gone by; gives the order, as it stands then.

        Where nothing at all was heard of it meanwhile, its venue is asked before the answer is given, which may take
        five seconds more. A restart does not resume a handler: its order goes on, and `on_order` tells of it.
        """
        return self._engine.wait(order, within)

    def ask(
        self, function: Callable[..., Any], *args: Any, then: Callable[[Any], Any] | None = None
    ) -> Awaitable[Any]:
        """Run a function (plain or async) outside the kernel and get its recorded answer.

        Await it, or pass `then`, a handler that gets the answer (a RuntimeError if it failed) as one more event.
        The answer must be made of dicts, lists, strings, numbers and None.
        """
        return self._engine.ask(function, args, then)

    def pause(self, why: str = "") -> None:
        """Open nothing new until a person resumes; positions stay managed."""
        self._engine.pause(why)

    def note(self, text: str) -> None:
        """Write something into the journal."""
        self._engine.note(text)

    @property
    def _engine(self) -> Context:
        if self._context is None:
            raise ConfigurationError(
                f"strategy {self.name} runs in no engine yet: do this in on_start or a later handler, not in __init__"
            )
        return self._context


def _alone(quantity: object, value: object, percent: object) -> None:
    if quantity is not None or value is not None or percent is not None:
        raise ConfigurationError("an order needs exactly one of quantity=, value=, percent=, size=")
