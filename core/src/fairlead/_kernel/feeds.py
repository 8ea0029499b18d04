"""Feeds: from what a strategy watches to what a stream is asked for, and bars made in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead._kernel.bars import Aggregator, Interval
from fairlead._kernel.clock import Schedule
from fairlead._kernel.market import AGGREGATE, STRATEGY, Lane, Market, Sink
from fairlead._kernel.runner import Runner
from fairlead._models.instrument import Instrument
from fairlead._models.market import Bar, History, MarketEvent
from fairlead._strategy.strategy import Strategy
from fairlead.errors import ConfigurationError
from fairlead.ports import Subscription


class _Warming:
    """Bars of one strategy and instrument that are still history: its handlers are attached after them."""

    def __init__(self, lane: Lane, intervals: list[str], bars: int, sinks: list[tuple[str, Sink]]) -> None:
        self._lane = lane
        self.intervals = intervals
        self._bars = bars
        self._sinks = sinks
        for interval in intervals:
            lane.attach(f"bar:{interval}", STRATEGY, self.see)

    def see(self, event: object) -> None:
        """One more bar is there."""
        histories = [self._lane.history.get(interval, ()) for interval in self.intervals]
        if all(len(history) >= self._bars for history in histories):
            self.stop()
            for kind, sink in self._sinks:
                self._lane.attach(kind, STRATEGY, sink)

    def stop(self) -> None:
        """Warm, or wanted no more."""
        for interval in self.intervals:
            self._lane.detach(f"bar:{interval}", self.see)


class Feeds:
    """Who watches what.

    `offers` tells the kinds of feed that some stream has for an instrument, `subscribe` asks for one,
    `unsubscribe` for no more of it, and `settle` says how long after its end a time bar waits for late prints, in ns.
    `working` tells whether an instrument has orders that may still fill, `made` is told of bars that are made here.
    """

    def __init__(self, market: Market, schedule: Schedule, attach_breakers: Callable[[Lane], None]) -> None:
        self._market = market
        self._schedule = schedule
        self._attach_breakers = attach_breakers
        self.offers: Callable[[str], tuple[str, ...]] = lambda _: ()
        self.subscribe: Callable[[Subscription, int], None] = lambda _, __: None
        self.unsubscribe: Callable[[Subscription], None] = lambda _: None
        self.settle: Callable[[str], int] = lambda _: 0
        self.working: Callable[[str], bool] = lambda _: False
        self.made: Callable[[Lane, Aggregator, str], None] = lambda *_: None
        self.subscriptions: dict[Subscription, int] = {}
        self._sinks: dict[tuple[str, str], list[tuple[str, Sink]]] = {}
        self._warming: dict[tuple[str, str], list[_Warming]] = {}
        self._sources: dict[tuple[str, str], str] = {}
        self._wants: dict[tuple[str, str], set[Subscription]] = {}
        self._seen_by_breakers: set[str] = set()

    def watch(
        self,
        runner: Runner,
        instrument: Instrument,
        intervals: Sequence[str],
        quotes: bool,
        trades: bool,
        book: bool,
        warmup: int,
    ) -> list[str]:
        """Deliver an instrument's events to a strategy; returns the intervals in canonical form."""
        lane = self._market.lane(instrument)
        offers = self.offers(lane.id)
        if not offers:
            raise ConfigurationError(f"no stream serves {lane.id}: add one that does to plugins=[...]")
        key = (runner.name, lane.id)
        known = {kind for kind, _ in self._sinks.get(key, ())}
        if lane.id not in self._seen_by_breakers:
            self._seen_by_breakers.add(lane.id)
            self._attach_breakers(lane)
        if key not in self._sinks:
            self._market.watch(lane, 1)
        wants = self._wants.setdefault(key, set())
        wants.update(self._ask_for_prices(lane, offers, warmup))
        strategy = runner.strategy
        sinks: list[tuple[str, Sink]] = []
        for wanted, kind, handler, base in (
            (quotes, "quote", strategy.on_quote, Strategy.on_quote),
            (trades, "trade", strategy.on_trade, Strategy.on_trade),
            (book, "book", strategy.on_book, Strategy.on_book),
        ):
            if wanted:
                wants.add(self._ask(lane, kind, offers))
                if getattr(handler, "__func__", None) is not base and kind not in known:
                    sinks.append((kind, runner.sink(handler)))
        parsed = [one for one in map(Interval.parse, intervals) if f"bar:{one.text}" not in known]
        for interval in parsed:
            lane.remember(interval.text, warmup)
            wants.add(self._make_bars(lane, interval, offers, warmup))
            sinks.append((f"bar:{interval.text}", runner.sink(strategy.on_bar)))
        self._deliver(runner.name, lane, [i.text for i in parsed], warmup, sinks)
        return [interval.text for interval in parsed]

    def _deliver(
        self, name: str, lane: Lane, intervals: list[str], warmup: int, sinks: list[tuple[str, Sink]]
    ) -> None:
        self._sinks.setdefault((name, lane.id), []).extend(sinks)
        if warmup and intervals:
            warming = _Warming(lane, intervals, warmup, sinks)
            self._warming.setdefault((name, lane.id), []).append(warming)
            if all(lane.history[i] for i in intervals):
                warming.see(None)
        else:
            for kind, sink in sinks:
                lane.attach(kind, STRATEGY, sink)

    def unwatch(self, runner: Runner, instrument: Instrument) -> None:
        """Deliver them no more; what nobody else has use for is not asked of its stream any longer."""
        lane = self._market.lane(instrument)
        key = (runner.name, lane.id)
        for warming in self._warming.pop(key, []):
            warming.stop()
        for kind, sink in self._sinks.pop(key, []):
            lane.detach(kind, sink)
        self._market.watch(lane, -1)
        self._wants.pop(key, None)
        self._release(lane)

    def hush(self) -> None:
        """Deliver nothing more to any strategy; feeds go on, for what the engine holds and values."""
        for warming in [one for some in self._warming.values() for one in some]:
            warming.stop()
        for (_, name), sinks in self._sinks.items():
            for kind, sink in sinks:
                self._market.lanes[name].detach(kind, sink)
        self._warming.clear()
        self._sinks.clear()

    def tap(self, instrument: Instrument, kinds: Sequence[str], intervals: Sequence[str], sink: Sink) -> None:
        """Deliver an instrument's events to somebody who is no strategy. Raises ConfigurationError as `watch` does."""
        lane = self._market.lane(instrument)
        offers = self.offers(lane.id)
        if not offers:
            raise ConfigurationError(f"no stream serves {lane.id}: name one that does")
        for kind in kinds:
            self._ask(lane, kind, offers)
            lane.attach(kind, STRATEGY, sink)
        for interval in map(Interval.parse, intervals):
            self._make_bars(lane, interval, offers, 0)
            lane.attach(f"bar:{interval.text}", STRATEGY, sink)

    def follow(self, lane: Lane) -> None:
        """Ask for the prices of an instrument that is held or traded, whether a strategy watches it or not."""
        offers = self.offers(lane.id)
        if offers:
            self._ask_for_prices(lane, offers)

    def warm(self, history: History) -> None:
        """Put bars from before in front of what has been seen since."""
        lane = self._market.lanes.get(history.instrument)
        if lane is None:
            return
        standing = len(lane.history.get(history.interval, ()))
        kept = lane.remember(history.interval, standing + len(history.bars))
        first = kept[0].event_ns if kept else None
        for bar in reversed(history.bars):
            if first is None or bar.event_ns < first:
                kept.appendleft(bar)
        for (_, name), all_warming in self._warming.items():
            if name == lane.id:
                for warming in all_warming:
                    warming.see(None)

    def cold(self, subscription: Subscription) -> list[Interval]:
        """The intervals made from a feed that somebody waits to see warm."""
        wanted: dict[str, Interval] = {}
        for (_, name), all_warming in self._warming.items():
            for warming in all_warming:
                if name != subscription.instrument:
                    continue
                for text in warming.intervals:
                    interval = Interval.parse(text)
                    if interval.kind == "time" and self._sources.get((name, text)) == subscription.kind:
                        wanted[text] = interval
        return list(wanted.values())

    def bars_of(
        self, subscription: Subscription, interval: Interval, events: Sequence[MarketEvent]
    ) -> list[Bar]:
        """Bars made from a feed's history."""
        made: list[Bar] = []
        due: list[tuple[int, Callable[[], None]]] = []

        def later(when: int, callback: Callable[[], None], *_: int) -> None:
            due.append((when, callback))

        aggregator = Aggregator(subscription.instrument, interval, later, made.append, lambda: None)
        takes = aggregator.takes(subscription.kind)
        for event in events:
            takes(event)
        for _, callback in due:
            callback()
        return made

    # --- choosing feeds -------------------------------------------------------------------------------------

    def _release(self, lane: Lane) -> None:
        """Give back the feeds of an instrument that nobody has use for, and stop making bars of them."""
        needed = {sub for (_, name), wants in self._wants.items() if name == lane.id for sub in wants}
        if lane.on_mark is not None or self.working(
            lane.id
        ):  # its prices value an account, or bring orders to fill
            needed.update(self._prices(lane, self.offers(lane.id)))
        for subscription in [s for s in self.subscriptions if s.instrument == lane.id and s not in needed]:
            del self.subscriptions[subscription]
            for (name, text), source in list(self._sources.items()):
                if (name, source) == (lane.id, subscription.kind):
                    del self._sources[name, text]
                    self._stop_bars(lane, text, source)
            self.unsubscribe(subscription)

    def _stop_bars(self, lane: Lane, interval: str, source: str) -> None:
        made = lane.aggregators.pop(interval, None)
        if made is not None:
            made.stop()
            lane.detach(source, made.takes(source))

    def _ask(self, lane: Lane, kind: str, offers: tuple[str, ...], warmup: int = 0) -> Subscription:
        if kind not in offers:
            raise ConfigurationError(
                f"no stream has {kind} of {lane.id}, only {', '.join(offers)}: watch one of those or add a stream"
            )
        subscription = Subscription(lane.id, kind)
        if subscription not in self.subscriptions or warmup > self.subscriptions[subscription]:
            self.subscriptions[subscription] = warmup
            self.subscribe(subscription, warmup)
        return subscription

    def _ask_for_prices(self, lane: Lane, offers: tuple[str, ...], warmup: int = 0) -> list[Subscription]:
        wanted = self._prices(lane, offers)
        for subscription in wanted:
            if subscription.kind.startswith("bar:"):
                lane.cadence = int(Interval.parse(subscription.kind[4:]).size)
            self._ask(lane, subscription.kind, offers, warmup)  # it may be what bars are made of
        return wanted

    def _prices(self, lane: Lane, offers: tuple[str, ...]) -> list[Subscription]:
        """Positions are valued, and orders matched, on the finest prices there are."""
        bars = [kind for kind in offers if kind.startswith("bar:")]
        kinds: list[str] = []
        kinds += [kind for kind in ("quote", "trade") if kind in offers][:1]
        if bars and not kinds:
            kinds = [min(bars, key=lambda kind: Interval.parse(kind[4:]).size)]
        kinds += [kind for kind in ("mark", "funding") if kind in offers]
        return [Subscription(lane.id, kind) for kind in kinds]

    def _make_bars(
        self, lane: Lane, interval: Interval, offers: tuple[str, ...], warmup: int
    ) -> Subscription:
        """Have bars of an interval come to a lane; returns the feed that they are, or are made of."""
        exact = f"bar:{interval.text}"
        if exact in offers:
            self._sources[lane.id, interval.text] = exact
            return self._ask(lane, exact, offers, warmup)
        if interval.text in lane.aggregators:
            return Subscription(lane.id, self._sources[lane.id, interval.text])
        source = _source(interval, offers)
        if source is None:
            raise ConfigurationError(
                f"bars of {interval.text} cannot be made for {lane.id} from {', '.join(offers)}: watch another interval"
            )
        subscription = self._ask(lane, source, offers, warmup)
        self._sources[lane.id, interval.text] = source

        def closed(bar: Bar) -> None:
            self._market.bar_closed(lane, bar)

        def late() -> None:
            lane.late += 1

        made = Aggregator(lane.id, interval, self._schedule, closed, late, self.settle(lane.id))
        lane.aggregators[interval.text] = made
        self.made(lane, made, source)
        lane.attach(source, AGGREGATE, made.takes(source))
        return subscription


def _source(interval: Interval, offers: tuple[str, ...]) -> str | None:
    """The coarsest feed from which an interval can be made exactly: bars that divide it, trades, quotes."""
    if interval.kind != "time":
        return "trade" if "trade" in offers else None
    bars = [Interval.parse(kind[4:]) for kind in offers if kind.startswith("bar:")]
    fitting = [b for b in bars if b.kind == "time" and b.size < interval.size and interval.size % b.size == 0]
    if fitting:
        return f"bar:{max(fitting, key=lambda b: b.size).text}"
    return "trade" if "trade" in offers else "quote" if "quote" in offers else None
