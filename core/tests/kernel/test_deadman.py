"""Dead-man switches: told in time, armed again, called off, and what is done when one has fired."""

from decimal import Decimal

import attrs
import pytest

from fairlead import ConfigurationError, OrderStatus, TradingState
from fairlead import facts as f
from fairlead._engine.deadman import timeouts
from fairlead._engine.looking import accounts
from fairlead.ports import ArmDeadMan, Canceled, DeadManFired, DeadManSet, StreamDown, StreamUp
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker

D = Decimal
SECOND = 1_000_000_000
SWITCH = (5 * SECOND, 300 * SECOND)
REMOTE = attrs.evolve(
    MARKET_AND_LIMIT, environment="testnet", exact=False, watch_ns=0, backfill_ns=0, dead_man=SWITCH
)
STOPS = attrs.evolve(
    EVERYTHING, environment="testnet", exact=False, watch_ns=0, backfill_ns=0, oco=False, dead_man=SWITCH
)


class Venue(FakeBroker):
    """A venue that cannot be told anything while it is `away`."""

    away = False

    def send(self, command):
        if self.away and isinstance(command, ArmDeadMan):
            self.commands.append(command)
            self.emit(DeadManSet(reason="there is no connection"))
        else:
            super().send(command)


@pytest.fixture
def bench():
    made = ready()
    yield made
    made.check()


def ready(profile=REMOTE, dead_man=60 * SECOND):
    made = Bench(broker=Venue(profile=profile), dead_man={"fake": dead_man} if dead_man else {})
    made.price(100)
    return made


def told(bench):
    return [command for command in bench.broker.commands if isinstance(command, ArmDeadMan)]


def limit(bench, price=99, **options):
    return bench.do(lambda s: s.buy(1, limit_price=price, **options))


def shown(bench):
    return accounts(bench.kernel, {})[0]["dead_man"]


# --- told in time -------------------------------------------------------------------------------------------------


def test_it_is_armed_at_the_start_and_told_again_after_a_third_of_its_time(bench):
    """Whatever the strategies do."""
    assert [command.timeout_ns for command in told(bench)] == [60 * SECOND]
    assert told(bench)[0].instruments == (bench.instrument,)
    bench.advance("59s")
    assert len(told(bench)) == 3
    assert bench.broker.dead_man_ns > bench.clock.now() + 39 * SECOND
    assert shown(bench)["armed"]
    assert shown(bench)["until_ns"] == bench.broker.dead_man_ns == bench.state.accounts["fake"].dead_man_ns


def test_a_halted_strategy_does_not_keep_it_from_being_told(bench):
    """It is the kernel that lives."""
    bench.kernel.turn(lambda: bench.kernel.runners["Puppet"].halt("a fault"))
    bench.advance("50s")
    assert len(told(bench)) == 3


def test_without_the_setting_nothing_is_armed():
    """Nobody is told anything."""
    bench = ready(dead_man=0)
    bench.advance("2m")
    assert not told(bench)
    assert shown(bench) is None


def test_it_is_armed_again_after_a_reconnect(bench):
    """At once, and not when it is its turn."""
    bench.broker.emit(StreamDown())
    before = len(told(bench))
    bench.broker.emit(StreamUp(epoch=2))
    assert len(told(bench)) == before + 1


def test_it_is_called_off_in_order(bench):
    """Then the venue leaves the orders where they are, and is told no more."""
    assert bench.kernel.dead_men.armed == ["fake"]
    bench.kernel.turn(bench.kernel.dead_men.call_off)
    assert told(bench)[-1].timeout_ns == 0
    assert bench.kernel.dead_men.armed == []
    assert bench.broker.dead_man_ns == bench.state.accounts["fake"].dead_man_ns == 0
    before = len(told(bench))
    bench.advance("2m")
    assert len(told(bench)) == before


def test_what_was_left_armed_and_is_used_no_more_is_called_off_at_the_next_start():
    """Else the venue would cancel the orders of an engine that does not know of it."""
    bench = ready()
    bench.dead_man = {}
    bench.restart()
    assert told(bench)[-1].timeout_ns == 0
    assert bench.broker.dead_man_ns == 0
    bench.check()


# --- not armed ------------------------------------------------------------------------------------------------------


def test_while_it_cannot_be_armed_nothing_new_is_risked():
    """Reductions pass, and so does everything once it is armed again."""
    bench = ready()
    bench.do(lambda s: s.buy(1))
    bench.broker.away = True
    bench.advance("30s")
    assert not limit(bench).denied, "the venue still waits"
    bench.advance("50s")
    denied = limit(bench)
    assert denied.denied
    assert "dead-man switch of account fake is not armed: there is no connection" in denied.reasons[0]
    assert shown(bench)["lapse"] == denied.reasons[0]
    assert not bench.do(lambda s: s.sell("0.5", reduce_only=True)).denied
    bench.broker.away = False
    bench.advance("20s")
    assert not limit(bench).denied
    assert [note.text for note in bench.of(f.Noted) if note.source == "dead-man switch"] == [
        "the dead-man switch of account fake could not be set: there is no connection"
    ]
    bench.check()


# --- fired ----------------------------------------------------------------------------------------------------------


def fire(bench):
    bench.broker.emit(DeadManFired())
    for name in list(bench.broker.working):
        bench.broker.emit(bench.broker.canceled(name))


def test_when_it_fired_orders_end_with_that_cause_and_the_account_only_reduces(bench):
    """A person looks before more is risked; it is armed again at once."""
    order = limit(bench)
    fire(bench)
    assert order.status is OrderStatus.CANCELED
    assert "dead-man switch" in order.reasons[-1]
    assert bench.state.trading(order.intent)[0] is TradingState.REDUCE_ONLY
    assert any("dead-man switch of account fake fired" in note.text for note in bench.of(f.Noted))
    assert len(bench.of(f.DeadManTripped)) == 1
    assert shown(bench)["armed"]
    bench.kernel.command("resume", "test", "looked", scope="account:fake")
    assert not limit(bench).denied


def test_an_order_that_was_asked_to_end_did_not_end_by_it(bench):
    """Its cause is the one that it has."""
    order = limit(bench)
    bench.do(lambda s: s.cancel(order))
    assert not any("dead-man" in reason for reason in order.reasons)
    fire(bench)
    later = bench.do(lambda s: s.buy(1, limit_price=98))
    assert later.denied


def test_a_stop_that_it_took_away_is_placed_again():
    """A bracket's stop comes back within a second."""
    bench = ready(STOPS)
    entry = bench.do(lambda s: s.buy(1, stop_loss=90))
    [stop] = [o for o in bench.state.open.values() if o.intent.exits]
    assert stop.status is OrderStatus.ACCEPTED
    fire(bench)
    assert stop.status is OrderStatus.CANCELED
    bench.advance("2s")
    [again] = [o for o in bench.state.open.values() if o.intent.exits]
    assert (again.status, again.stop_price, again.quantity) == (OrderStatus.ACCEPTED, 90, 1)
    assert entry.status is OrderStatus.FILLED
    bench.check()


def test_one_that_fired_while_the_line_was_down_is_found_out():
    """What is gone was canceled by it, though nobody said so."""
    bench = ready()
    order = limit(bench)
    bench.broker.away = True
    bench.broker.emit(StreamDown())
    bench.advance("90s")
    resting = bench.broker.working.pop(order.client_order_id)
    assert not resting.filled
    bench.broker.away = False
    bench.broker.emit(StreamUp(epoch=2))
    bench.advance("5s")
    assert order.status is OrderStatus.CANCELED
    assert "dead-man switch" in order.reasons[-1]
    assert shown(bench)["armed"]
    bench.check()


def test_one_that_fired_while_nobody_was_there_is_found_out_at_the_start():
    """The journal knows until when it was armed."""
    bench = ready()
    order = limit(bench)
    bench.broker.working.clear()
    bench.restart(down="5m")
    bench.price(100)
    bench.advance("5s")
    order = bench.state.orders[order.client_order_id]
    assert (order.status, len(bench.of(f.DeadManTripped))) == (OrderStatus.CANCELED, 1)
    assert "dead-man switch" in order.reasons[-1]
    bench.check()


def test_without_orders_nothing_has_happened():
    """There was nothing to cancel."""
    bench = ready()
    bench.restart(down="5m")
    assert not bench.of(f.DeadManTripped)
    assert not bench.state.lowered
    assert shown(bench)["armed"]
    bench.check()


def test_what_a_venue_ends_otherwise_has_its_own_reason(bench):
    """Not everything is the switch."""
    order = limit(bench)
    bench.broker.emit(
        Canceled(client_order_id=order.client_order_id, filled_quantity=D(0), reason="post-only")
    )
    assert order.reasons[-1] == "post-only"


# --- who uses one ---------------------------------------------------------------------------------------------------


def test_by_itself_it_is_used_only_where_it_cannot_take_a_stop_away():
    """At a venue without stops, or that spares them; never in this process."""
    spares = attrs.evolve(STOPS, dead_man_spares_stops=True)
    plain = attrs.evolve(REMOTE, dead_man=None)
    here = attrs.evolve(REMOTE, exact=True)
    profiles = {"a": REMOTE, "b": STOPS, "c": spares, "d": plain, "e": here}
    assert timeouts(None, profiles) == {"a": 60 * SECOND, "c": 60 * SECOND}
    short = attrs.evolve(REMOTE, dead_man=(SECOND, 30 * SECOND))
    assert timeouts(None, {"a": short}) == {"a": 30 * SECOND}


def test_it_is_set_for_all_accounts_or_by_their_brokers():
    """What is said is done, also where stops go with it."""
    assert timeouts("90s", {"a": REMOTE, "b": STOPS}) == {"a": 90 * SECOND, "b": 90 * SECOND}
    assert timeouts({"b": "10s"}, {"a": REMOTE, "b": STOPS}) == {"a": 60 * SECOND, "b": 10 * SECOND}
    assert timeouts({"a": "off"}, {"a": REMOTE, "b": STOPS}) == {}
    assert timeouts("off", {"a": REMOTE}) == {}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"c": "60s"}, "there is no broker 'c' (there are: a, b)"),
        ("60s", "has no dead-man switch for account b: say which accounts have one, or b='off'"),
        ({"a": "1s"}, "takes between 5s and 5m for account a"),
        ({"a": "soon"}, "soon"),
    ],
)
def test_what_makes_no_sense_is_refused(setting, says):
    """In one sentence, with what to do."""
    with pytest.raises(ConfigurationError) as error:
        timeouts(setting, {"a": REMOTE, "b": MARKET_AND_LIMIT})
    assert says in str(error.value)
