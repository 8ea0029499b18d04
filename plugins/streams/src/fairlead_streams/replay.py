"""`ReplayStream`: recorded market data, read as venues deliver it, for backtests and for playing live."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from os import PathLike
from pathlib import Path

import attrs

from fairlead import ConfigurationError, Instrument, decimal, default_instrument
from fairlead.ports import Clock, MarketEvent, Subscription
from fairlead_streams.checks import Fault, Gap
from fairlead_streams.loading import Feed, Loaded, load, reading
from fairlead_streams.memory import bars_of, events_of, quotes_of, trades_of
from fairlead_streams.playing import Player, ReplayTime, parse_speed
from fairlead_streams.series import Series, bar_interval, merge
from fairlead_streams.text import plural, some, when
from fairlead_streams.times import moment

log = logging.getLogger("fairlead.streams")

Source = str | PathLike[str]
_FEE = "0.0005"


class ReplayStream:
    """Bars, quotes and trades from CSV, JSON lines and Parquet files, packed by gzip or zip or not.

        ReplayStream("btc-1m.csv", symbol="BTC/USDT", tz="UTC", volume_unit="quote", bar_label="close")

    Columns and units of time are told by name, shape and size. What a file does not say and a guess could get
    wrong is refused until it is said: the zone of times without one (`tz`), what volume counts (`volume_unit`
    "base" or "quote"; base is what events carry) and which end of a bar its time marks (`bar_label` "open" or
    "close"). A row that cannot be used refuses the file with its line, or with `on_fault="skip"` is left out and
    listed in `faults`. Missing bars are no faults; they are listed in `gaps`.

    `symbol` may end in `@venue`, "sim" otherwise. Where no `instrument` is given it gets the default one: the
    tick is `tick`, or the finest decimal among the first 1,000 rows, and the fee is `fee`, 0.0005 without. A file that
    was recorded has a sidecar, FILE.meta.json, which says all of that and the instrument's true rules: nothing need be
    passed, and what is passed (`instrument`, `tick`, `fee`, another venue in `symbol`) wins. `start` and `end`
    bound what is replayed, [start, end); rows before `start` serve as history. `columns` names roles where
    detection fails: `{"price": "last"}`, or in order for a file without header: `("time", "price", "size")`,
    where "_" stands for a column of no use.
    Trades with a `side` take it for the aggressor's.

    Nothing is opened before the stream is used. Every method that reads raises ConfigurationError for a file
    that cannot be used, naming the file, the rule and the remedy. In live use the stream brings its own time,
    `speed` times as fast as the clock on the wall, None for as fast as possible.
    """

    def __init__(
        self,
        path: Source | Sequence[Source],
        *,
        symbol: str | None = None,
        name: str = "replay",
        kind: str | None = None,
        tz: str | tzinfo | None = None,
        volume_unit: str | None = None,
        bar_label: str | None = None,
        interval: str | int | None = None,
        tick: int | float | str | None = None,
        fee: int | float | str | None = None,
        instrument: Instrument | None = None,
        speed: float | str | None = None,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
        columns: Mapping[str, str | int] | Sequence[str] | None = None,
        on_fault: str = "refuse",
    ) -> None:
        self.name = name
        self.on_end: Callable[[], None] | None = None
        self._paths = [Path(item) for item in ([path] if isinstance(path, (str, PathLike)) else path)]
        if not self._paths:
            raise ConfigurationError("a ReplayStream of no files has nothing to replay: name one at least")
        self._names = self.label = ", ".join(item.name for item in self._paths)
        self._tick = None if tick is None else decimal(tick, "tick")
        if self._tick is not None and self._tick <= 0:
            raise ConfigurationError(
                f"tick {tick} is no step between prices, and one is above 0: pass one such as tick='0.01', "
                f"or leave it out"
            )
        self._fee = None if fee is None else decimal(fee, "fee")
        self._given = () if instrument is None else (instrument,)
        self._said = reading(
            symbol=instrument.id if instrument is not None else symbol,
            kind=kind,
            tz=tz,
            volume_unit=volume_unit,
            bar_label=bar_label,
            interval=interval,
            columns=columns,
            on_fault=on_fault,
        )
        self._begin(speed, start, end)

    def _begin(
        self,
        speed: float | str | None = None,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
    ) -> None:
        self._speed = parse_speed(speed)
        self._start_ns = None if start is None else moment(start, "start")
        self._end_ns = None if end is None else moment(end, "end")
        self._feeds: list[Series] | None = None
        self._instruments: dict[str, Instrument] = {}
        self._found = Loaded()
        self._wanted: dict[Subscription, None] = {}
        self._emit: Callable[[MarketEvent], None] | None = None
        self._clock: Clock | None = None
        self._player: Player | None = None
        self._played_ns: int | None = None
        self.exhausted = False

    # Data that is in memory already

    @classmethod
    def of(
        cls,
        events: Iterable[MarketEvent],
        *,
        instrument: Instrument | Sequence[Instrument],
        name: str = "replay",
        speed: float | str | None = None,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
    ) -> ReplayStream:
        """A stream of events in the order of their `received_ns`, each on the long form of an instrument."""
        known = {
            item.id: item for item in ([instrument] if isinstance(instrument, Instrument) else instrument)
        }
        series = events_of(events, known)
        return cls._holding(series, known.values(), name, speed, start, end)

    @classmethod
    def quotes(
        cls,
        instrument: Instrument,
        times_ns: Sequence[int],
        bids: Sequence[float],
        asks: Sequence[float],
        bid_sizes: Sequence[float],
        ask_sizes: Sequence[float],
        *,
        name: str = "replay",
        speed: float | str | None = None,
    ) -> ReplayStream:
        """A stream of quotes from parallel columns; stdlib arrays are used as they are."""
        columns = {"bid": bids, "ask": asks, "bid_size": bid_sizes, "ask_size": ask_sizes}
        return cls._holding([quotes_of(instrument.id, times_ns, columns)], [instrument], name, speed)

    @classmethod
    def trades(
        cls,
        instrument: Instrument,
        times_ns: Sequence[int],
        prices: Sequence[float],
        sizes: Sequence[float],
        *,
        name: str = "replay",
        speed: float | str | None = None,
    ) -> ReplayStream:
        """A stream of public trades from parallel columns, without sides and ids."""
        columns = {"price": prices, "size": sizes}
        return cls._holding([trades_of(instrument.id, times_ns, columns)], [instrument], name, speed)

    @classmethod
    def bars(
        cls,
        instrument: Instrument,
        close_times_ns: Sequence[int],
        opens: Sequence[float],
        highs: Sequence[float],
        lows: Sequence[float],
        closes: Sequence[float],
        volumes: Sequence[float],
        *,
        interval: str = "1m",
        name: str = "replay",
        speed: float | str | None = None,
    ) -> ReplayStream:
        """A stream of bars from parallel columns; times are their closes, volumes in base units."""
        columns = {"open": opens, "high": highs, "low": lows, "close": closes, "volume": volumes}
        series = bars_of(instrument.id, close_times_ns, columns, interval)
        return cls._holding([series], [instrument], name, speed)

    @classmethod
    def _holding(
        cls,
        series: list[Series],
        instruments: Iterable[Instrument],
        name: str,
        speed: float | str | None,
        start: datetime | str | int | None = None,
        end: datetime | str | int | None = None,
    ) -> ReplayStream:
        stream = cls.__new__(cls)
        stream.name = name
        stream.label = "data in memory"
        stream.on_end = None
        stream._paths = []
        stream._begin(speed, start, end)
        stream._feeds = series
        stream._instruments = {item.id: item for item in instruments}
        return stream

    # What it holds

    @property
    def instrument(self) -> Instrument:
        """The one instrument of the data. Raises ConfigurationError where there are several."""
        self._load()
        if len(self._instruments) != 1:
            raise ConfigurationError(
                f"{self.label}: it holds {len(self._instruments)} instruments ({', '.join(self._instruments)}), and "
                f"`instrument` is the only one of a stream: await instruments() for all"
            )
        return next(iter(self._instruments.values()))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The rows that were left out under `on_fault="skip"`."""
        self._load()
        return tuple(self._found.faults)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where bars are missing."""
        self._load()
        return tuple(self._found.gaps)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else was done to a file, or assumed: one sentence each."""
        self._load()
        return tuple(self._found.notes)

    def time(self) -> ReplayTime:
        """The time that the recording brings: it begins at `start`, or at the first event."""
        if self._start_ns is not None:
            return ReplayTime(self._start_ns, self._speed)
        return ReplayTime(
            min((feed.received[0] for feed in self._load() if len(feed)), default=0), self._speed
        )

    # DataStream

    async def instruments(self) -> Sequence[Instrument]:
        """The instruments of the data."""
        self._load()
        return tuple(self._instruments.values())

    def offers(self, instrument: str) -> tuple[str, ...]:
        """The feeds it has of a symbol or long form, finest first."""
        feeds = [feed for feed in self._load() if _is(feed.instrument, instrument)]
        ticks = [
            kind
            for kind in ("trade", "quote", "book", "mark", "funding")
            if any(f.kind == kind for f in feeds)
        ]
        bars = sorted({feed.kind for feed in feeds if feed.kind.startswith("bar:")}, key=bar_interval)
        return (*ticks, *bars)

    async def connect(self, emit: Callable[[MarketEvent], None], clock: Clock) -> None:
        """Take the clock that events are scheduled on; they begin with the first subscription."""
        self._load()
        self._emit, self._clock = emit, clock
        self._play()

    def resume(self, after_ns: int) -> None:
        """Go on after a moment instead of at the beginning: a run that was here before is started again.

        How much of the recording that passes over is logged.
        """
        self._played_ns = after_ns
        feeds = self._load()
        rows, rest = (
            sum(len(range(*feed.span(start, self._end_ns))) for feed in feeds)
            for start in (self._start_ns, max(after_ns + 1, self._start_ns or 0))
        )
        if rest < rows:
            log.warning(
                "%s: %s passed over, %s left: these are not after the run's last fact, which is of %s",
                self.label,
                f"{rows - rest:,} of {plural(rows, 'row')}",
                f"{rest:,}" if rest else "none",
                when(after_ns),
            )

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> frozenset[Subscription]:
        """Begin to emit feeds, from now on where the recording is under way; returns those it has."""
        confirmed = [sub for sub in subscriptions if self._serving(sub)]
        self._wanted.update(dict.fromkeys(confirmed))
        if confirmed:
            self._play()
        return frozenset(confirmed)

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Emit these feeds no more."""
        for sub in subscriptions:
            self._wanted.pop(sub, None)
        self._play()

    async def history(self, subscription: Subscription, start_ns: int, end_ns: int) -> Sequence[MarketEvent]:
        """The rows received in [start_ns, end_ns), none from the future: those before the clock's now.

        Before the stream is connected these are the rows before the start of the replay, none without `start`.
        """
        now = self._clock.now() if self._clock is not None else self.time().start_ns
        return tuple(merge(self._serving(subscription), start_ns, min(end_ns, now)))

    async def close(self) -> None:
        """Emit no more; a stream that is used again begins anew."""
        if self._player is not None:
            self._player.stop()
        self._player = self._emit = self._clock = self._played_ns = None
        self._wanted.clear()
        self.exhausted = False

    # Replayable

    def replay(self, subscriptions: Sequence[Subscription] | None = None) -> Iterator[MarketEvent]:
        """The events of these feeds (None: of all) in the order of `received_ns`; at equal time bars go first."""
        return merge(self._chosen(subscriptions), self._start_ns, self._end_ns)

    def _chosen(self, subscriptions: Iterable[Subscription] | None) -> list[Series]:
        feeds = self._load()
        if subscriptions is None:
            return feeds
        chosen = [feed for sub in subscriptions for feed in self._serving(sub)]
        return list({id(feed): feed for feed in chosen}.values())

    def _serving(self, sub: Subscription) -> list[Series]:
        return [
            feed
            for feed in self._load()
            if _is(feed.instrument, sub.instrument) and _same(feed.kind, sub.kind)
        ]

    def _play(self) -> None:
        """Go on with what is subscribed now, after the last instant that was emitted."""
        if self._player is not None:
            self._played_ns = self._player.last_ns if self._player.last_ns is not None else self._played_ns
            self._player.stop()
            self._player = None
        if self._emit is None or self._clock is None or not self._wanted or self.exhausted:
            return
        start = self._start_ns if self._played_ns is None else self._played_ns + 1
        events = merge(self._chosen(self._wanted), start, self._end_ns)
        begin = self.time().start_ns if self._played_ns is None else self._played_ns
        self._player = Player(events, self._clock, self._emit, self._end, start_ns=begin)

    def _end(self) -> None:
        self.exhausted = True
        if self.on_end is not None:
            self.on_end()

    def _load(self) -> list[Series]:
        if self._feeds is None:
            loaded = [load(path, self._said) for path in self._paths]
            feeds = [feed for item in loaded for feed in item.feeds]
            feeds.sort(key=lambda feed: feed.series.received[0])
            found = Loaded(
                faults=[fault for item in loaded for fault in item.faults],
                gaps=[gap for item in loaded for gap in item.gaps],
                notes=[note for item in loaded for note in item.notes],
                instruments={key: rules for item in loaded for key, rules in item.instruments.items()},
                labels={label: None for item in loaded for label in item.labels},
            )
            _join(feeds, found)
            if found.labels:
                self.label = f"{self._names} ({'; '.join(found.labels)})"
            self._instruments = self._rules(feeds, found.instruments)
            self._found = found
            self._feeds = [feed.series for feed in feeds]
            self._report()
        return self._feeds

    def _rules(self, feeds: Sequence[Feed], recorded: Mapping[str, Instrument]) -> dict[str, Instrument]:
        ticks: dict[str, list[Feed]] = {}
        for feed in feeds:
            ticks.setdefault(feed.series.instrument, []).append(feed)
        known = {item.id: item for item in self._given}
        for owner, owned in ticks.items():
            if owner in known:
                continue
            tick = self._tick if self._tick is not None else min(feed.tick for feed in owned)
            if owner in recorded:
                known[owner] = attrs.evolve(recorded[owner], tick=tick)
                if self._fee is not None:
                    known[owner] = attrs.evolve(known[owner], maker_fee=self._fee, taker_fee=self._fee)
            else:
                symbol, _, venue = owner.rpartition("@")
                fee = _FEE if self._fee is None else self._fee
                known[owner] = default_instrument(symbol, venue, tick=tick, fee=fee)
        return known

    def _report(self) -> None:
        found = self._found
        if found.faults:
            left_out = plural(len(found.faults), "row")
            log.warning("%s: left out %s: %s", self.label, left_out, some(map(str, found.faults)))
        if found.gaps:
            missing = sum(gap.missing for gap in found.gaps)
            bars = f"{plural(missing, 'bar')} {'is' if missing == 1 else 'are'} missing"
            shown = some(map(str, found.gaps))
            log.warning("%s: %s in %s: %s", self.label, bars, plural(len(found.gaps), "gap"), shown)
        for note in found.notes:
            log.warning("%s", note)


def _join(feeds: Sequence[Feed], found: Loaded) -> None:
    """Files of one feed follow each other: they do not overlap, and what is missing between them is a gap."""
    ends: dict[tuple[str, str], Feed] = {}
    for feed in feeds:
        key = (feed.series.instrument, feed.series.kind)
        before = ends.get(key)
        ends[key] = feed
        if before is None:
            continue
        last, first = before.series.received[-1], feed.series.received[0]
        bars = feed.series.kind.startswith("bar:") and bar_interval(feed.series.kind) > 0
        if first < last or (bars and first == last):
            raise ConfigurationError(
                f"{feed.file}: its {feed.series.kind} rows begin {when(first)}, before {before.file} ends "
                f"({when(last)}), and files of one feed follow each other: leave one of them out"
            )
        interval = bar_interval(feed.series.kind) if bars else 0
        start, end = before.series.event[-1], feed.series.event[0] - interval
        if bars and end > start:
            missing = max(1, (end - start) // interval)
            found.gaps.append(Gap(feed.file, feed.first_line, start, end, missing, feed.word))


def _is(long_form: str, instrument: str) -> bool:
    return instrument in {long_form, long_form.rpartition("@")[0]}


def _same(kind: str, wanted: str) -> bool:
    if kind == wanted or not (kind.startswith("bar:") and wanted.startswith("bar:")):
        return kind == wanted
    return 0 != bar_interval(kind) == bar_interval(wanted)
