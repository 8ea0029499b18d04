"""A broker with one defect fails the case that is about it, first of all; a clean one fails none."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from proving import details, failures, prove
from served import ServedVenue

from fairlead import TimeInForce
from fairlead.ports import (
    DUPLICATE_ID,
    UNKNOWN_ORDER,
    Accepted,
    ArmDeadMan,
    Cancel,
    CancelAll,
    Canceled,
    CancelRejected,
    DeadManFired,
    DeadManSet,
    FillReport,
    NotSent,
    OutcomeUnknown,
    RateLimit,
    Rejected,
    Replace,
    Replaced,
    ReplaceRejected,
    Snapshot,
    StreamDown,
    StreamUp,
    Submit,
)
from fairlead_conformance import BrokerConformance
from fairlead_sim import RemoteBroker

SECRET = "hunter2-hunter2"
LIMIT = RateLimit("orders", 10_000, 1_000_000_000)
change = msgspec.structs.replace


class Clean(RemoteBroker):
    """An adapter as it should be. What a defect changes: `tell` a report, `put` a command."""

    def __init__(self, address: str, key: str = "") -> None:
        super().__init__(address, name=type(self).__name__, patience="500ms")
        self.profile = attrs.evolve(self.profile, rate_limits=(LIMIT,))
        self.key = key

    async def connect(self, emit, clock):
        self.out = emit
        await super().connect(self.tell, clock)

    def tell(self, report):
        self.out(report)

    def send(self, command):
        self.put(command)

    def put(self, command):
        RemoteBroker.send(self, command)


class RaisesInSend(Clean):
    breaks = "an_unknown_instrument_is_refused"

    def put(self, command):
        if isinstance(command, Submit) and command.intent.instrument not in (
            "BTC/USDT:USDT@sim",
            "ETH/USDT:USDT@sim",
        ):
            raise KeyError(command.intent.instrument)
        super().put(command)


class IgnoresDeadlines(Clean):
    breaks = "a_late_command_is_not_sent"

    def put(self, command):
        super().put(change(command, deadline_ns=2**62))


class Retries(Clean):
    breaks = "a_lost_order_is_not_found_after_the_lag"

    def put(self, command):
        self.last = command
        super().put(command)

    def tell(self, report):
        super().tell(report)
        if isinstance(report, OutcomeUnknown) and isinstance(self.last, Submit) and self._line is not None:
            self._line.write(_line(change(self.last, deadline_ns=2**62)))


class TakesSilenceForARefusal(Clean):
    breaks = "a_lost_answer_is_no_refusal"

    def tell(self, report):
        if isinstance(report, OutcomeUnknown) and isinstance(getattr(self, "last", None), Submit):
            report = Rejected(client_order_id=report.client_order_id, code="timeout", reason="no answer")
        super().tell(report)

    def put(self, command):
        self.last = command
        super().put(command)


class TakesSilenceForAFailedCancel(Clean):
    breaks = "a_lost_answer_to_a_cancel_keeps_the_order_in_doubt"

    def put(self, command):
        self.last = command
        super().put(command)

    def tell(self, report):
        if isinstance(report, OutcomeUnknown) and isinstance(self.last, Cancel):
            report = CancelRejected(client_order_id=report.client_order_id, code=UNKNOWN_ORDER)
        super().tell(report)


class KeepsOneFill(Clean):
    breaks = "a_fill_is_never_left_out"

    def tell(self, report):
        seen = self.__dict__.setdefault("seen", set())
        if isinstance(report, FillReport):
            if report.client_order_id in seen:
                return
            seen.add(report.client_order_id)
        super().tell(report)


class EmptyWhereNobodyAnswers(Clean):
    breaks = "without_a_connection_nothing_is_sent"

    async def snapshot(self):
        if self._line is None:
            return Snapshot(orders=(), positions={}, balances={})
        return await super().snapshot()


class LeavesUnknownOrdersOut(Clean):
    breaks = "an_order_that_never_was_is_none"

    async def lookup(self, client_order_ids: Sequence[str]) -> Mapping[str, Any]:
        found = await super().lookup(client_order_ids)
        return {name: order for name, order in found.items() if order is not None}


class ListsOtherIds(Clean):
    breaks = "fills_are_listed_as_they_were_reported"

    async def fills(self, since_ns):
        return [change(fill, fill_id=f"rest-{fill.fill_id}") for fill in await super().fills(since_ns)]


class ListsNewestFirst(Clean):
    breaks = "fills_are_listed_as_they_were_reported"

    async def fills(self, since_ns):
        return (await super().fills(since_ns))[::-1]


class ListsFromTheBeginning(Clean):
    breaks = "fills_are_listed_as_they_were_reported"

    async def fills(self, since_ns):
        return await super().fills(0)


class Floats(Clean):
    breaks = "numbers_stay_exact"

    def tell(self, report):
        if isinstance(report, FillReport):
            report = change(report, fee=float(report.fee))
        super().tell(report)


class Blocks(Clean):
    breaks = "the_loop_is_never_blocked"

    def put(self, command):
        if isinstance(command, CancelAll):
            time.sleep(0.1)
        super().put(command)


class LeavesATask(Clean):
    breaks = "closing_leaves_nothing"

    async def connect(self, emit, clock):
        await super().connect(emit, clock)
        self.__dict__.setdefault("tasks", []).append(asyncio.ensure_future(asyncio.sleep(10**6)))


class ShowsItsKey(Clean):
    breaks = "secrets_never_show"

    def __repr__(self):
        return f"ShowsItsKey(key={self.key!r})"


class LogsItsKey(Clean):
    breaks = "secrets_never_show"

    async def snapshot(self):
        import logging

        logging.getLogger("bad").debug("GET /account key=%s", self.key)
        logging.getLogger("bad").warning("GET /account key=%s", self.key)
        return await super().snapshot()


class RestsWhatShouldNot(Clean):
    breaks = "immediate_or_cancel_never_rests"

    def put(self, command):
        if isinstance(command, Submit) and command.intent.time_in_force is TimeInForce.IOC:
            command = change(command, intent=change(command.intent, time_in_force=TimeInForce.GTC))
        super().put(command)


class DropsPostOnly(Clean):
    breaks = "post_only_never_takes"

    def put(self, command):
        if isinstance(command, Submit):
            command = change(command, intent=change(command.intent, post_only=False))
        super().put(command)


class DropsReduceOnly(Clean):
    breaks = "reduce_only_never_opens"

    def put(self, command):
        if isinstance(command, Submit):
            command = change(command, reduce_only=False, intent=change(command.intent, reduce_only=False))
        super().put(command)


class NeverDown(Clean):
    breaks = "a_broken_connection_is_reported_once"

    def tell(self, report):
        if not isinstance(report, StreamDown):
            super().tell(report)


class ConnectsByItself(Clean):
    breaks = "a_broken_connection_is_reported_once"

    def tell(self, report):
        super().tell(report)
        if isinstance(report, StreamDown):
            self.task = asyncio.ensure_future(self.connect(self.out, self._clock))


class OneEpoch(Clean):
    breaks = "a_broken_connection_is_reported_once"

    def tell(self, report):
        super().tell(StreamUp(epoch=1) if isinstance(report, StreamUp) else report)


class ForgetsWhatWasFilled(Clean):
    breaks = "a_cancel_after_a_part_has_filled"

    def tell(self, report):
        if isinstance(report, Canceled):
            report = change(report, filled_quantity=Decimal(0))
        super().tell(report)


class CountsEachFillAlone(Clean):
    breaks = "totals_grow_with_each_fill"

    def tell(self, report):
        if isinstance(report, FillReport):
            report = change(report, cumulative_quantity=report.quantity)
        super().tell(report)


class Milliseconds(Clean):
    breaks = "times_are_nanoseconds_of_now"

    def tell(self, report):
        if getattr(report, "event_ns", 0):
            report = change(report, event_ns=report.event_ns // 1_000_000)
        super().tell(report)


class ClosesOnce(Clean):
    breaks = "it_closes_twice"
    closed = False

    async def close(self):
        if self.closed:
            raise RuntimeError("it is closed")
        self.closed = self._line is not None
        await super().close()
        self.closed = self.closed and self._emit is not None and self.__dict__.get("up", True)

    async def connect(self, emit, clock):
        self.closed = False
        await super().connect(emit, clock)
        self.closed = False


class SaysItTwiceWhenConnectedAgain(Clean):
    breaks = "it_connects_again"

    async def connect(self, emit, clock):
        count = self.__dict__["count"] = self.__dict__.get("count", 0) + 1
        await super().connect(emit, clock)
        if count > 1:
            self.out = lambda report: (emit(report), emit(report))


class SwallowsGarbage(Clean):
    breaks = "garbage_is_named_and_loses_nothing"

    def tell(self, report):
        if not (
            isinstance(report, StreamDown) and "no answer" in report.reason and "malformed" in report.reason
        ):
            super().tell(report)


class GuessesWords(Clean):
    breaks = "an_unknown_word_is_named_and_loses_nothing"

    def tell(self, report):
        if isinstance(report, StreamDown) and "Transmogrified" in report.reason:
            report = Canceled(client_order_id=self.last)
        super().tell(report)

    def put(self, command):
        self.last = getattr(command, "client_order_id", "")
        super().put(command)


class MakesFieldsUp(Clean):
    breaks = "a_missing_field_is_named_and_loses_nothing"

    def tell(self, report):
        if not (isinstance(report, StreamDown) and "missing required field" in report.reason):
            super().tell(report)


class KillsWhatItRepeats(Clean):
    breaks = "an_id_acts_once"

    def tell(self, report):
        if isinstance(report, Rejected) and report.code == DUPLICATE_ID:
            report = change(report, code="-2010")
        super().tell(report)


class RefusesWithoutACode(Clean):
    breaks = "a_refusal_has_a_code"

    def tell(self, report):
        if isinstance(report, Rejected) and report.code not in (DUPLICATE_ID, "unknown_instrument"):
            report = change(report, code="")
        super().tell(report)


class LosesTheSign(Clean):
    breaks = "positions_equal_the_fills"

    async def snapshot(self):
        taken = await super().snapshot()
        return attrs.evolve(taken, positions={name: abs(held) for name, held in taken.positions.items()})


class CountsPositionsDouble(Clean):
    breaks = "positions_equal_the_fills"

    async def snapshot(self):
        taken = await super().snapshot()
        return attrs.evolve(taken, positions={name: held * 2 for name, held in taken.positions.items()})


class LeavesFeesOut(Clean):
    breaks = "balances_equal_the_fills"

    def tell(self, report):
        super().tell(change(report, fee=Decimal(0)) if isinstance(report, FillReport) else report)

    async def fills(self, since_ns):
        return [change(fill, fee=Decimal(0)) for fill in await super().fills(since_ns)]


class CancelsTooMuch(Clean):
    breaks = "cancel_all_of_one_instrument_leaves_the_others"

    def put(self, command):
        super().put(change(command, instrument="") if isinstance(command, CancelAll) else command)


class WaitsForEver(Clean):
    breaks = "a_half_open_connection_hangs_nobody"

    async def snapshot(self):
        patience, self._patience = self._patience, 10**18
        try:
            return await super().snapshot()
        finally:
            self._patience = patience


class OpensAtOnce(Clean):
    breaks = "making_it_opens_nothing"

    def __init__(self, address, key=""):
        super().__init__(address, key)
        self.file = open("/dev/null")  # noqa: SIM115

    def __del__(self):
        self.file.close()


class PromisesTooMuch(Clean):
    breaks = "its_profile_holds_together"

    def __init__(self, address, key=""):
        super().__init__(address, key)
        self.profile = attrs.evolve(self.profile, environment="testnet", exact=True)
        self.fingerprint = "a1"


class DeclaresWhatNobodyProves(Clean):
    breaks = "all_that_is_declared_is_proven"

    def __init__(self, address, key=""):
        super().__init__(address, key)
        self.profile = attrs.evolve(
            self.profile, time_in_force=self.profile.time_in_force | {TimeInForce.OPG}
        )


class NamesEachFillAnew(Clean):
    breaks = "what_comes_twice_counts_once"

    def tell(self, report):
        seen = self.__dict__.setdefault("seen", [])
        if isinstance(report, FillReport):
            seen.append(report.fill_id)
            if seen.count(report.fill_id) > 1:
                report = change(report, fill_id=f"{report.fill_id}+{len(seen)}")
        super().tell(report)


class NeedsAcceptanceFirst(Clean):
    breaks = "a_fill_may_come_before_its_acceptance"

    def tell(self, report):
        known = self.__dict__.setdefault("known", set())
        if isinstance(report, Accepted):
            known.add(report.client_order_id)
        if not isinstance(report, FillReport) or report.client_order_id in known:
            super().tell(report)


class TakesABreakForNotSent(Clean):
    breaks = "what_was_in_flight_is_in_doubt"

    def tell(self, report):
        if isinstance(report, OutcomeUnknown) and report.reason == "the connection was lost":
            report = NotSent(client_order_id=report.client_order_id, reason=report.reason)
        super().tell(report)


class TooManyIsSilent(Clean):
    breaks = "too_many_requests_have_a_name"

    def tell(self, report):
        if isinstance(report, Rejected) and report.code == "too_many":
            report = change(report, code="", reason="")
        super().tell(report)


class KeepsEverything(Clean):
    breaks = "a_long_day_leaves_no_more_than_a_short_one"

    def tell(self, report):
        self.__dict__.setdefault("all", []).append([[report, [number]] for number in range(20)])
        super().tell(report)


class ReplacesByTwoOrders(Clean):
    breaks = "a_limit_order_is_replaced"

    def put(self, command):
        if isinstance(command, Submit):
            self.orders = {**getattr(self, "orders", {}), command.client_order_id: command}
        if isinstance(command, Replace):
            old = self.orders[command.client_order_id]
            terms = change(old.intent, quantity=command.quantity, limit_price=command.limit_price)
            name = f"{command.client_order_id[:-1]}x"
            command = change(old, client_order_id=name, intent=terms, quantity=command.quantity)
        super().put(command)

    def tell(self, report):
        name = getattr(report, "client_order_id", "")
        if isinstance(report, Accepted) and name.endswith("x"):
            known = next(one for one in self.orders if one[:-1] == name[:-1])
            report = Replaced(client_order_id=known)
        super().tell(report)


class ReplacesWhatIsLeft(Clean):
    breaks = "a_replaced_total_has_what_has_filled"

    def put(self, command):
        if isinstance(command, Replace):
            command = change(command, quantity=command.quantity + getattr(self, "filled", 0))
        super().put(command)

    def tell(self, report):
        if isinstance(report, FillReport):
            self.filled = report.quantity
        if isinstance(report, Replaced):
            report = change(report, quantity=None)
        super().tell(report)


class RefusesWhatWasLost(Clean):
    breaks = "a_lost_answer_to_a_replace_is_no_refusal"

    def put(self, command):
        self.last = command
        super().put(command)

    def tell(self, report):
        if isinstance(report, OutcomeUnknown) and isinstance(self.last, Replace):
            report = ReplaceRejected(client_order_id=report.client_order_id, code="timeout")
        super().tell(report)


class NeverCallsItOff(Clean):
    breaks = "a_dead_man_switch_is_set_and_called_off"

    def put(self, command):
        if isinstance(command, ArmDeadMan) and not command.timeout_ns:
            self.tell(DeadManSet(until_ns=0))
        else:
            super().put(command)


class FiresInSilence(Clean):
    breaks = "a_dead_man_switch_cancels_all"

    def tell(self, report):
        if not isinstance(report, DeadManFired):
            super().tell(report)


class NewNameEachTime(Clean):
    breaks = "it_fills_the_port"

    def __init__(self, address, key=""):
        super().__init__(address, key)
        self.name = f"{type(self).__name__}-{id(self)}"


def _line(command):
    from fairlead_sim.protocol import SendSubmit, line

    return line(SendSubmit(command))


DEFECTS = [kind for kind in Clean.__subclasses__() if hasattr(kind, "breaks")]


def suite(kind: type[Clean]) -> type[BrokerConformance]:
    class Suite(BrokerConformance):
        secrets = (SECRET,)

        def make_venue(self):
            return ServedVenue()

        def make(self):
            return kind(self.venue.address, SECRET)

    return Suite


def test_a_clean_broker_passes_all():
    """No case fails, all that is declared is proven, and every tier is reached."""
    book = prove(suite(Clean))
    assert not failures(book), details(book)
    assert str(book.tier) == "T4"


@pytest.mark.full
@pytest.mark.parametrize("kind", DEFECTS, ids=lambda kind: kind.__name__)
def test_a_defect_is_named_first(kind):
    """The case that is about it is the first that fails."""
    whole = kind is DeclaresWhatNobodyProves
    book = prove(suite(kind), upto="" if whole else kind.breaks)
    assert failures(book)[:1] == [kind.breaks], details(book)
    assert len(failures(book)) <= 3, details(book)
