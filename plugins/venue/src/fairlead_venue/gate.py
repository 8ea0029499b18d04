"""The gate: latency and faults around each request, whatever it came over."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence

import attrs

from fairlead import ConfigurationError, Trade, duration
from fairlead_venue.channel import Channel
from fairlead_venue.exchange import Exchange
from fairlead_venue.faults import Fault, FaultKind, Faults
from fairlead_venue.fronts import Behaviour
from fairlead_venue.wire import Call, Reply, RequestLog, Seen

_BUSY = 2
"""So many requests a limited client may send before it is banned."""

_STREAMS = frozenset(
    {
        FaultKind.DROP, FaultKind.CLOSE, FaultKind.SHUTDOWN, FaultKind.STALL, FaultKind.HALF_OPEN, FaultKind.EXPIRE,
        FaultKind.TEAR,
    }
)  # fmt: skip
_VENUE = frozenset(
    {
        FaultKind.SKEW, FaultKind.JUMP, FaultKind.MAINTENANCE, FaultKind.BURST, FaultKind.BUST, FaultKind.CORRECT,
    }
)  # fmt: skip
_REFUSALS = frozenset({FaultKind.REFUSE, FaultKind.RATE_LIMIT, FaultKind.BAN})
_log = logging.getLogger("fairlead_venue")


class Latency:
    """How long half a round trip takes: a fixed time, or `"realistic"`, 1 to 6 ms with a long tail, seeded."""

    def __init__(self, text: str = "0ms", *, seed: int = 0) -> None:
        self._random = random.Random(seed) if text == "realistic" else None
        self._half = 0 if self._random else duration(text) // 2

    def half(self) -> int:
        """The next half of a round trip, in ns."""
        if self._random is None:
            return self._half
        return int(1_000_000 * min(1 + self._random.expovariate(0.7), 40))


class Gate:
    """Lets requests through to a front. `pause` waits; `channels` are the streams that faults at a request hit."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        log: RequestLog,
        latency: Latency,
        channels: Callable[[], Sequence[Channel]],
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._log = log
        self._latency = latency
        self._channels = channels
        self._closed_until = 0
        self._limited_until = 0
        self._limited = 0
        self.front: Behaviour

    async def answer(self, call: Call) -> Reply | None:
        """Carry a call out; None where nothing is ever to be said. Call `done` when the answer was written."""
        self.front.read(call)
        call.faults += self._faults.strike(call.labels)
        seen = self._log.add(call, self._exchange.clock.now())
        await self._travel()
        if call.struck(FaultKind.LOSE):
            self._log.end(seen, "lost")
            return None
        if delay := call.struck(FaultKind.DELAY):
            await self._exchange.clock.sleep(delay.lasts_ns)
        reply = self._refusal(call) or self._carry_out(call)
        if call.struck(FaultKind.LOSE_ANSWER):
            self._log.end(seen, "unanswered")
            self.done(call)
            return None
        for kind in (FaultKind.DELAY_ANSWER, FaultKind.EVENTS_FIRST):
            if fault := call.struck(kind):
                await self._exchange.clock.sleep(fault.lasts_ns)
        await self._travel()
        self._log.end(seen, str(reply.status))
        return reply

    def done(self, call: Call) -> None:
        """Its answer was written: what waited for that happens now."""
        for callback in call.after:
            callback()
        together = call.struck(FaultKind.COALESCE) is not None
        for channel in self._channels():
            channel.release(together=together)

    def note(self, call: Call, outcome: str) -> Seen:
        """Log a request that does not pass here, such as a handshake."""
        seen = self._log.add(call, self._exchange.clock.now())
        self._log.end(seen, outcome)
        return seen

    async def _travel(self) -> None:
        if half := self._latency.half():
            await self._exchange.clock.sleep(half)

    # --- refused, or carried out --------------------------------------------------------------------------------

    def _refusal(self, call: Call) -> Reply | None:
        now = self._exchange.clock.now()
        for fault in call.faults:
            if fault.kind in _REFUSALS:
                until = now + (fault.lasts_ns or 1_000_000_000)
                if fault.kind is FaultKind.RATE_LIMIT:
                    self._limited_until, self._limited = until, 0
                elif fault.kind is FaultKind.BAN:
                    self._limited_until, self._limited = until, _BUSY + 1
                return self.front.refused(call, fault, until)
            if fault.kind in {FaultKind.ERROR, FaultKind.UNKNOWN} and not fault.executed:
                return self._failed(call, fault)
            if fault.kind in _VENUE or fault.kind in _STREAMS:
                self.now(fault)
        if now < self._limited_until:
            self._limited += 1
            kind = FaultKind.RATE_LIMIT if self._limited <= _BUSY else FaultKind.BAN
            return self.front.refused(call, Fault(kind=kind), self._limited_until)
        if now < self._closed_until:
            return self.front.refused(call, Fault(kind=FaultKind.MAINTENANCE), self._closed_until)
        return None

    def _carry_out(self, call: Call) -> Reply:
        if call.struck(FaultKind.ANSWER_FIRST) or call.struck(FaultKind.COALESCE):
            for channel in self._channels():
                channel.hold()
        try:
            reply = self.front.execute(call)
        except Exception as error:
            _log.exception("a request could not be carried out: %s %s", call.method, call.path)
            return Reply(f'{{"error":"{type(error).__name__}"}}', 500)
        for fault in call.faults:
            match fault.kind:
                case FaultKind.ERROR | FaultKind.UNKNOWN:
                    reply = self._failed(call, fault)
                case FaultKind.GARBAGE | FaultKind.UNKNOWN_FIELD | FaultKind.UNKNOWN_ENUM:
                    reply = attrs.evolve(reply, body=self.front.spoil(reply.body, fault.kind))
        return reply

    def _failed(self, call: Call, fault: Fault) -> Reply:
        if fault.kind is FaultKind.UNKNOWN:
            return self.front.refused(call, fault, 0)
        page = (
            f"<html><head><title>{fault.status}</title></head><body>The gateway had no answer.</body></html>"
        )
        return Reply(page, fault.status, {}, "text/html")

    # --- now ----------------------------------------------------------------------------------------------------

    def now(self, fault: Fault) -> None:
        """Let a fault of connections or of the venue strike. Raises ConfigurationError for one of another kind."""
        clock = self._exchange.clock
        match fault.kind:
            case FaultKind.SKEW:
                clock.skew(fault.by_ns)
            case FaultKind.JUMP:
                clock.advance(fault.by_ns)
            case FaultKind.MAINTENANCE:
                self._closed_until = clock.now() + fault.lasts_ns
            case FaultKind.RATE_LIMIT | FaultKind.BAN:
                self._limited_until = clock.now() + fault.lasts_ns
                self._limited = 0 if fault.kind is FaultKind.RATE_LIMIT else _BUSY + 1
            case FaultKind.BURST:
                self._burst(fault.count)
            case FaultKind.BUST | FaultKind.CORRECT:
                self._rewrite(fault)
            case kind if kind in _STREAMS or kind is FaultKind.NOTICE:
                for channel in list(self._channels()):
                    self.strike(channel, fault)
            case kind:
                raise ConfigurationError(
                    f"{kind} strikes at a request or an event: put it into a plan instead"
                )

    def clear(self) -> None:
        """No limit, ban or maintenance any more."""
        self._closed_until = self._limited_until = self._limited = 0

    def strike(self, channel: Channel, fault: Fault) -> None:
        """Let a fault strike one stream."""
        match fault.kind:
            case FaultKind.DROP:
                channel.drop()
            case FaultKind.CLOSE:
                channel.close(int(fault.code or 1000))
            case FaultKind.SHUTDOWN:
                self.front.struck(channel, fault)
                self._exchange.clock.call_in(fault.lasts_ns, channel.close)
            case FaultKind.STALL | FaultKind.HALF_OPEN:
                channel.stall(fault.lasts_ns, silent=fault.kind is FaultKind.HALF_OPEN)
            case FaultKind.EXPIRE | FaultKind.NOTICE:
                self.front.struck(channel, fault)
            case FaultKind.TEAR:
                channel.tear()

    def _burst(self, count: int) -> None:
        now = self._exchange.clock.now()
        for tape in list(self._exchange.tapes.values()):
            if (price := tape.price) is not None:
                for number in range(count):
                    self._exchange.market(
                        Trade(tape.instrument.id, price, 1.0, now, now, "buy" if number % 2 else "sell")
                    )

    def _rewrite(self, fault: Fault) -> None:
        found = [
            (done.number, account, done)
            for account in self._exchange.accounts.values()
            for done in account.executions[-1:]
            if not done.busted
        ]
        if not found:
            return
        _, account, last = max(found, key=lambda row: row[0])
        if fault.kind is FaultKind.BUST:
            account.bust(last)
        else:
            account.correct(last, last.price + fault.ticks * last.order.wanted.instrument.tick)
