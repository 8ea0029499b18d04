"""What a comparison must not get wrong: faults of reconcilers, orders of others, lost ids, figures that never rest."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from fairlead import EXTERNAL, ConfigurationError, OrderStatus, Side, TradingState
from fairlead import facts as f
from fairlead.ports import (
    Action,
    Discrepancy,
    DiscrepancyKind,
    FillReport,
    OrderReport,
    Resolution,
    Snapshot,
)
from fairlead.testing import MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, make_instrument
from fairlead.units import SECOND
from fairlead_reconcile import AutoAdjust, HaltOnMismatch, ManualApproval, SyncToLocal, WarnOnly

D = Decimal
REMOTE = attrs.evolve(MARKET_AND_LIMIT, environment="testnet", exact=False, backfill_ns=0, query_lag_ns=0)
PERP, SPOT = make_instrument(), make_instrument("BTC/USDT")
BTC = PERP.id


class Venue(FakeBroker):
    """A venue on whose website somebody trades, too."""

    def __init__(self, *instruments: Any, **profile: Any) -> None:
        super().__init__(*(instruments or (PERP,)), profile=attrs.evolve(REMOTE, **profile))
        self.strangers: dict[str, OrderReport] = {}
        self.modes: dict[str, str] | None = None
        self.drift: Callable[[], None] = lambda: None

    async def snapshot(self) -> Snapshot:
        self.drift()
        taken = await super().snapshot()
        return attrs.evolve(taken, orders=(*(taken.orders or ()), *self.strangers.values()), modes=self.modes)

    def place(self, name: str = "web-1", **more: Any) -> None:
        """Somebody places an order on the website, or changes it."""
        fields = {
            "client_order_id": name,
            "broker_order_id": f"b-{name}",
            "instrument": BTC,
            "open": True,
            "quantity": D(2),
            "filled_quantity": D(0),
            "side": Side.BUY,
            "limit_price": D(90),
        }
        self.strangers[f"b-{name}"] = OrderReport(**fields | more)

    def send(self, command: Any) -> None:
        if getattr(command, "client_order_id", "") in {
            one.client_order_id for one in self.strangers.values()
        }:
            self.commands.append(command)
            return
        super().send(command)


class Scripted:
    """A reconciler that does what a test says."""

    name = "scripted"
    every_ns = 5_000_000_000

    def __init__(self, answer: Callable[[Discrepancy], Any]) -> None:
        self.answer = answer

    def resolve(self, discrepancy: Discrepancy, view: Any) -> Any:
        return self.answer(discrepancy)


def ready(*reconcilers: Any, venue: Venue | None = None, quantity: int = 5) -> tuple[Bench, Venue]:
    venue = venue or Venue()
    bench = Bench(Puppet(venue.listed[0].id.partition("@")[0]), broker=venue, reconcilers=reconcilers)
    bench.price(100)
    if quantity:
        bench.do(lambda s: s.buy(quantity))
    bench.advance("20s")
    assert not bench.of(f.DiscrepancyFound)
    return bench, venue


def notes(bench: Bench) -> list[str]:
    return [fact.text for fact in bench.of(f.Noted) if fact.source == "reconciliation"]


def decisions(bench: Bench) -> list[tuple[str, str]]:
    return [(str(fact.action), fact.who) for fact in bench.of(f.DiscrepancyResolved)]


# --- a reconciler that fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: 1 / 0, "resolve() failed, ZeroDivisionError"),
        (lambda _: "adopt", "resolve() gave str, which is no Resolution"),
        (lambda _: Resolution(Action.CANCEL), "cancel does not fit quantity, only adopt, ask"),
    ],
)
def test_a_reconciler_that_fails_leaves_it_to_a_person(answer, said):
    """Nothing is half done, the next one is not asked in its stead, and it is said who failed and how."""
    bench, venue = ready(Scripted(answer), AutoAdjust())
    venue.positions[BTC] = D(7)
    bench.advance("20s")
    assert decisions(bench) == [("ask", "scripted")]
    assert said in notes(bench)[0]
    assert bench.state.quantity("fake", BTC) == 5
    bench.check()


# --- when -------------------------------------------------------------------------------------------------------


def test_figures_that_never_rest_are_told_and_booked_once_they_do():
    """A halt does not wait for them, an adjustment does; afterwards the pace is the usual one again."""
    bench, venue = ready(HaltOnMismatch(every="5s", least="critical"), AutoAdjust())

    def drift() -> None:
        venue.positions[BTC] = venue.positions.get(BTC, D(0)) + D("0.001")

    venue.drift = drift
    bench.advance("30s")
    assert ("adopt", "AutoAdjust") not in decisions(bench)
    assert any("not come to rest" in text for text in notes(bench))
    venue.drift = lambda: None
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC) == venue.positions[BTC]
    assert not bench.state.discrepancies
    taken = len(bench.of(f.ReportReceived))
    bench.advance("1m")
    assert len(bench.of(f.ReportReceived)) - taken < 30
    bench.check()


def test_what_both_sides_gain_is_no_new_difference():
    """Trading goes on while a person is asked: they are asked once."""
    bench, venue = ready(ManualApproval(every="5s"))
    venue.positions[BTC] = D(7)
    bench.advance("20s")
    bench.do(lambda s: s.buy(1))
    bench.advance("20s")
    assert len(bench.of(f.DiscrepancyFound)) == 1
    (name,) = bench.state.discrepancies
    bench.kernel.command("approve", "ann", "mine", discrepancy=name)
    bench.advance("20s")
    assert bench.state.quantity("fake", BTC) == venue.positions[BTC] == 8
    bench.check()


def test_nothing_is_approved_on_figures_of_before():
    """What has moved since it was compared is compared first."""
    bench, venue = ready(ManualApproval(every="1m"))
    venue.positions[BTC] = D(7)
    bench.advance("2m")
    (name,) = bench.state.discrepancies
    bench.do(lambda s: s.buy(1))
    with pytest.raises(ConfigurationError, match="it has moved since it was compared: reconcile first"):
        bench.kernel.command("approve", "ann", "mine", discrepancy=name)
    bench.kernel.command("approve", "ann", "leave it", discrepancy=name, action="ignore")
    with pytest.raises(ConfigurationError, match="approve has no action 'cancel' for quantity: write one of"):
        bench.kernel.command("approve", "ann", "mine", discrepancy=name, action="cancel")


def test_an_execution_that_is_listed_late_explains_a_position():
    """A trade by hand is booked at its own price, and not adopted as well."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.positions[BTC] = D(7)
    venue.executions.append(
        FillReport(
            client_order_id="web-9", fill_id="w9", instrument=BTC, side=Side.BUY, quantity=D(2), price=D(95),
            fee=D(0), fee_currency="USDT", event_ns=bench.clock.now(),
        )
    )  # fmt: skip
    bench.advance("30s")
    assert bench.state.quantity("fake", BTC, EXTERNAL) == 2
    assert not bench.of(f.DiscrepancyFound)
    assert bench.state.positions[("fake", BTC, EXTERNAL, "net")].average_price == 95


def test_cash_is_looked_at_again_once_a_position_was_adopted():
    """A position closed by hand brought its profit along: both are booked, none of it twice."""
    bench, venue = ready(AutoAdjust(every="5s"))
    bench.price(110)
    venue.positions[BTC] = D(0)
    venue.balances["USDT"] += D("49")
    bench.advance("30s")
    assert bench.state.accounts["fake"].balances == venue.balances
    assert [fact.amount for fact in bench.of(f.CashChanged)] == [D(-1)]
    bench.check()


def test_a_start_whose_venue_gives_no_snapshot_is_refused_not_hung():
    """After half a minute whoever waits for the account is told that it could not be compared."""
    bench, _venue = ready(WarnOnly(every="5s"))
    told: list[bool] = []
    bench.kernel.resolver.inquire = lambda account, inquiry: None
    bench.kernel.reconciliation._books["fake"].snapshot = None
    bench.kernel.turn(lambda: bench.kernel.reconciliation.begin("fake", told.append))
    bench.advance("29s")
    assert told == []
    bench.advance("2s")
    assert told == [False]


# --- spot and settings ------------------------------------------------------------------------------------------


def test_coins_that_are_gone_take_the_position_with_them():
    """On spot a balance is the holding: strategies do not go on selling what nobody has."""
    venue = Venue(SPOT)
    bench, _ = ready(AutoAdjust(every="5s"), venue=venue, quantity=0)
    bench.do(lambda s: s.buy(5))
    venue.balances = dict(bench.state.accounts["fake"].balances)
    venue.balances["BTC"] -= 2
    bench.advance("30s")
    assert bench.state.quantity("fake", SPOT.id) == bench.state.quantity("fake", SPOT.id, "Puppet") == 3
    assert bench.state.accounts["fake"].balances == venue.balances
    venue.balances["BTC"] += 7
    bench.advance("30s")
    assert bench.state.quantity("fake", SPOT.id) == 3, "coins that came are no position of ours"
    assert bench.state.accounts["fake"].balances == venue.balances
    bench.check()


def test_settings_that_a_profile_wants_are_compared():
    """Position mode of the account, leverage of an instrument; one nobody declared is nobody's business."""
    venue = Venue(modes={"position_mode": "net", "leverage": "5"})
    venue.modes = {"position_mode": "net", f"leverage {BTC}": "5", "margin_mode": "isolated"}
    bench, _ = ready(AutoAdjust(every="5s"), HaltOnMismatch(), venue=venue)
    venue.modes[f"leverage {BTC}"] = "20"
    bench.advance("20s")
    (found,) = bench.state.discrepancies.values()
    assert (found.kind, found.expected, found.actual) == (DiscrepancyKind.MODE, "5", "20")
    assert "5 wanted, 20 there" in str(found)
    assert decisions(bench) == [("warn", "AutoAdjust")], "a setting is no figure to take over"
    venue.modes = None
    bench.advance("20s")
    assert bench.state.discrepancies, "silence about settings says nothing"
    venue.modes = {f"leverage {BTC}": "5"}
    bench.advance("20s")
    assert not bench.state.discrepancies
    bench.check()


# --- orders of others -------------------------------------------------------------------------------------------


def test_an_adopted_order_fills_and_is_booked_once():
    """Fills told, listed and told again are one; when all of it has filled it is over."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.place()
    bench.advance("20s")
    order = bench.state.open["web-1"]
    fill = FillReport(
        client_order_id="web-1", fill_id="w1", instrument=BTC, side=Side.BUY, quantity=D(2), price=D(90),
        fee=D(0), fee_currency="USDT", cumulative_quantity=D(2), event_ns=bench.clock.now(),
    )  # fmt: skip
    venue.executions.append(fill)
    venue.positions[BTC] = D(7)
    venue.strangers.clear()
    venue.emit(fill)
    bench.advance("1m")
    assert order.status is OrderStatus.FILLED
    assert bench.state.quantity("fake", BTC, EXTERNAL) == 2
    bench.check()


def test_a_fill_from_before_the_adoption_is_not_booked_again():
    """It was booked as nobody's; the order is adopted as partly filled."""
    bench, venue = ready(AutoAdjust(every="5s"))
    fill = FillReport(
        client_order_id="web-1", fill_id="w1", instrument=BTC, side=Side.BUY, quantity=D("0.5"), price=D(90),
        fee=D(0), fee_currency="USDT", event_ns=bench.clock.now(),
    )  # fmt: skip
    venue.executions.append(fill)
    venue.positions[BTC] = D("5.5")
    venue.emit(fill)
    venue.place(filled_quantity=D("0.5"))
    bench.advance("2m")
    assert bench.state.open["web-1"].filled_quantity == D("0.5")
    assert bench.state.quantity("fake", BTC, EXTERNAL) == D("0.5")
    bench.check()


@pytest.mark.parametrize("client_order_id", ["web-1", ""])
def test_an_adopted_order_that_is_gone_is_over(client_order_id):
    """Two snapshots without it end it, also where it has no id of its owner: nothing stays reserved or in doubt."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.place(client_order_id=client_order_id)
    bench.advance("20s")
    name = client_order_id or "b-web-1"
    assert bench.state.open[name].strategy == EXTERNAL
    venue.strangers.clear()
    bench.advance("20s")
    assert bench.state.orders[name].status is OrderStatus.CANCELED
    assert bench.state.working("fake", BTC, Side.BUY) == 0
    assert not bench.of(f.OrderUnknown)
    bench.check()


def test_an_order_that_was_changed_at_its_venue_is_what_it_is_there():
    """Quantity and price, of an adopted order and of our own; what is reserved follows."""
    bench, venue = ready(AutoAdjust(every="5s"))
    venue.place()
    own = bench.do(lambda s: s.buy(1, limit_price=80))
    bench.advance("20s")
    venue.place(quantity=D(3), limit_price=D(85))
    venue._orders[own.client_order_id].quantity = D(4)
    bench.advance("30s")
    order = bench.state.open["web-1"]
    assert (order.quantity, order.limit_price) == (3, 85)
    assert (own.quantity, own.limit_price, own.strategy) == (4, 80, "Puppet")
    assert bench.state.working("fake", BTC, Side.BUY) == 7
    assert {fact.discrepancy.kind for fact in bench.of(f.DiscrepancyFound)} == {
        DiscrepancyKind.EXTERNAL_ORDER,
        DiscrepancyKind.ORDER_TERMS,
    }
    assert not bench.state.discrepancies
    bench.check()


def test_a_cancel_of_a_strangers_order_is_repeated_until_it_is_gone():
    """One cancel may be lost on the way."""
    bench, venue = ready(SyncToLocal(every="5s"))
    venue.place()
    bench.advance("30s")
    assert len(venue.canceling) > 1
    venue.strangers.clear()
    bench.advance("20s")
    assert bench.state.orders["web-1"].status is OrderStatus.CANCELED
    bench.check()


# --- what the journal lost --------------------------------------------------------------------------------------


def lost_id(bench: Bench, number: int = 99) -> str:
    return f"{bench.state.namespace:04x}{bench.state.epoch:04x}{number:022x}01"


def test_an_order_that_the_journal_never_gave_out_halts_the_account():
    """No policy speaks for it: a person looks first, and says what becomes of it."""
    bench, venue = ready(AutoAdjust(every="5s"))
    name = lost_id(bench)
    venue.place(name)
    bench.advance("20s")
    assert bench.state.lowered == {"account:fake": TradingState.HALTED}
    assert decisions(bench) == [("halt", "engine")]
    (found,) = bench.state.discrepancies.values()
    assert found.kind is DiscrepancyKind.LOST_ORDER
    bench.kernel.command("approve", "ann", "the disk was swapped", discrepancy=found.id)
    bench.advance("20s")
    assert bench.state.open[name].strategy == EXTERNAL
    assert not bench.state.discrepancies
    assert bench.state.lowered, "it stays halted until it is resumed"
    bench.check()


def test_after_a_power_cut_an_order_of_ours_is_adopted():
    """The journal's last records went with the power: that explains it, and nobody has to come."""
    bench, venue = ready(AutoAdjust(every="5s"))
    name = lost_id(bench)
    bench.restart(power_cut=True)
    bench.advance("2s")
    bench.price(100)
    venue.place(name)
    bench.advance("20s")
    assert not bench.state.lowered
    assert bench.state.open[name].strategy == EXTERNAL
    assert decisions(bench) == [("adopt", "engine")]
    bench.do(lambda s: s.buy(1))
    assert name in bench.state.open, "numbers that are given out again do not make it ours"
    bench.check()


def test_an_order_that_cannot_be_adopted_after_a_power_cut_halts_the_account():
    """What the venue does not tell of it, or what is not known here: nothing is traded on until a person has looked."""
    bench, venue = ready(AutoAdjust(every="5s"))
    name = lost_id(bench)
    bench.restart(power_cut=True)
    bench.price(100)
    venue.place(name, side=None)
    bench.advance("20s")
    assert bench.state.lowered == {"account:fake": TradingState.HALTED}
    assert [fact.why for fact in bench.of(f.DiscrepancyResolved)] == ["its venue does not tell its side"]
    bench.check()


def test_what_a_power_cut_took_is_explained_after_more_starts_too():
    """Whichever start finds it; and nothing else is: neither what that start sent itself nor what a later one did."""
    bench, venue = ready(AutoAdjust(every="5s"))
    lost = lost_id(bench)
    bench.restart(power_cut=True)
    later = lost_id(bench)
    bench.restart()
    bench.price(100)
    venue.place(lost)
    bench.advance("20s")
    assert (decisions(bench), dict(bench.state.lowered)) == ([("adopt", "engine")], {})
    venue.place(later)
    bench.advance("20s")
    assert bench.state.lowered == {"account:fake": TradingState.HALTED}
    bench.check()


def test_a_later_attempt_that_a_power_cut_took_is_not_taken_for_one_that_ended_long_ago():
    """The attempt before is remembered, and this one came after it: its fill counts."""
    bench, venue = ready(AutoAdjust(every="5s"))
    first = bench.do(lambda s: s.buy(1, limit_price=90))
    again = first.client_order_id[:-2] + "02"
    fill = FillReport(
        client_order_id=again, fill_id="x1", instrument=BTC, side=Side.BUY, quantity=D(1), price=D(100), fee=D(0),
        fee_currency="USDT",
    )  # fmt: skip
    venue.emit(fill)
    before = bench.state.quantity("fake", BTC)
    bench.restart(power_cut=True)
    bench.price(100)
    venue.emit(fill)
    assert bench.state.quantity("fake", BTC) == before + 1
    assert not bench.state.lowered
    bench.check()


@pytest.mark.parametrize("found", ["fill", "snapshot", "lookup"])
def test_a_held_order_whose_sending_a_power_cut_took_is_known_as_sent(found: str):
    """It waits here and works there: whatever shows it, it is one order, reserved for, and never sent again."""
    bench, venue = ready(AutoAdjust(every="5s"))
    bench.price(100)
    order = bench.do(lambda s: s.buy(2, stop_price=110))
    name = order.client_order_id
    assert order.status is OrderStatus.HELD
    known = OrderReport(
        client_order_id=name, broker_order_id="b-held", instrument=BTC, open=True, quantity=D(2),
        filled_quantity=D(0), side=Side.BUY,
    )  # fmt: skip

    async def lookup(names: Any) -> Any:
        return {one: known if one == name else None for one in names}

    bench.restart(power_cut=True, down="3s")
    venue.lookup = lookup  # type: ignore[method-assign]
    if found == "fill":
        venue.emit(
            FillReport(
                client_order_id=name, fill_id="h1", instrument=BTC, side=Side.BUY, quantity=D(1), price=D(110),
                fee=D(0), fee_currency="USDT",
            )
        )  # fmt: skip
    elif found == "snapshot":
        venue.strangers["b-held"] = known
    else:
        bench.kernel.turn(lambda: bench.kernel.resolver.look_up(bench.state.orders[name]))
    bench.advance("10s")
    order = bench.state.orders[name]
    assert order.status is (OrderStatus.PARTIALLY_FILLED if found == "fill" else OrderStatus.ACCEPTED)
    assert bench.state.working("fake", BTC, Side.BUY) == order.remaining_quantity
    sent = len(venue.submits)
    bench.price(120)
    bench.advance("10s")
    assert len(venue.submits) == sent
    assert not bench.state.lowered
    bench.check()


def test_fills_that_came_after_the_snapshot_count_for_an_adopted_order_once():
    """They were booked as nobody's: adopting the order does not wait for them again."""
    bench, venue = ready(AutoAdjust(every="5s"))
    name = lost_id(bench)
    bench.restart(power_cut=True)
    bench.price(100)
    venue.place(name)
    bench.advance("1s")
    venue.emit(
        FillReport(
            client_order_id=name, fill_id="p1", instrument=BTC, side=Side.BUY, quantity=D(1), price=D(90), fee=D(0),
            fee_currency="USDT",
        )
    )  # fmt: skip
    venue.positions[BTC] = venue.positions.get(BTC, D(0)) + 1
    bench.advance("20s")
    order = bench.state.open[name]
    assert (order.filled_quantity, order.remaining_quantity) == (1, 1)
    assert bench.state.quantity("fake", BTC) == venue.positions[BTC]
    bench.check()


def test_a_fill_of_a_lost_order_halts_too():
    """It is booked, since it happened."""
    bench, venue = ready(WarnOnly(every="5s"))
    venue.emit(
        FillReport(
            client_order_id=lost_id(bench), fill_id="l1", instrument=BTC, side=Side.BUY, quantity=D(1),
            price=D(100), fee=D(0), fee_currency="USDT",
        )
    )  # fmt: skip
    assert bench.state.quantity("fake", BTC, EXTERNAL) == 1
    assert bench.state.lowered == {"account:fake": TradingState.HALTED}


def test_ids_that_the_journal_gave_out_are_known_after_restarts():
    """Of every start, later attempts included; those above what a start gave out stay lost for ever."""
    bench, _ = ready(quantity=1)
    from fairlead._kernel.identity import Origin, origin

    for _ in range(3):
        bench.restart()
        bench.advance("2s")
        bench.price(100)
        bench.do(lambda s: s.buy(1))
    state = bench.state
    namespace = f"{state.namespace:04x}"
    assert origin(state, f"{namespace}0001{1:022x}01") is Origin.OURS
    assert origin(state, f"{namespace}0001{2:022x}01") is Origin.LOST
    assert origin(state, f"{namespace}0003{1:022x}02") is Origin.OURS, "a later attempt at the first intent"
    assert origin(state, f"{namespace}0009{1:022x}01") is Origin.LOST
    assert origin(state, f"ffff0001{1:022x}01") is Origin.FOREIGN
    assert origin(state, "web-1") is Origin.FOREIGN


# --- what trades ------------------------------------------------------------------------------------------------


def test_what_is_owed_survives_a_crash():
    """Adopted at a start, and killed before it could trade: the next start trades it back, once."""
    bench, venue = ready(SyncToLocal(every="5s"))
    venue.positions[BTC] = D(7)
    bench.kernel.starting = True  # strategies have not begun yet
    bench.advance("20s")
    assert len(bench.state.owed) == 1
    sent = len(venue.submits)
    bench.restart()
    bench.advance("2s")
    bench.price(100)
    bench.advance("20s")
    assert len(venue.submits) == sent + 1
    assert (venue.positions[BTC], bench.state.quantity("fake", BTC, EXTERNAL)) == (5, 0)
    assert not bench.state.owed
    bench.check()


def test_what_the_gate_refuses_is_said_and_not_tried_again():
    """A halted account trades nothing back; books and venue agree all the same."""
    bench, venue = ready(SyncToLocal(every="5s"))
    bench.kernel.command("halt", "ann", "lunch", scope="engine")
    venue.positions[BTC] = D(7)
    bench.advance("1m")
    assert [fact.why != "" for fact in bench.of(f.ResolutionEnded)] == [True]
    assert any("was not sent" in text for text in notes(bench))
    assert bench.state.quantity("fake", BTC) == 7
    assert not bench.state.discrepancies
    bench.check()


def test_accounts_are_compared_apart():
    """A difference on one does not touch the other, and a halt is the account's own."""
    one, two = Venue(), Venue()
    two.name = "second"
    bench = Bench(Puppet(), broker=[one, two], reconcilers=[HaltOnMismatch(every="5s")])
    bench.price(100)
    two.positions[BTC] = D(3)
    bench.advance("20s")
    assert bench.state.lowered == {"account:second": TradingState.HALTED}
    assert {fact.discrepancy.account for fact in bench.of(f.DiscrepancyFound)} == {"second"}
    bench.check()


def test_fills_of_one_size_that_only_lists_tell_of_are_no_difference_that_stays():
    """Each snapshot shows another one that is not booked yet: the same figure every time, and each time explained."""
    venue = Venue(query_lag_ns=2 * SECOND)
    bench = Bench(broker=venue, reconcilers=[AutoAdjust()])
    bench.price(100)
    order = bench.do(lambda s: s.buy(1, limit_price=99))
    bench.advance("10s")
    venue.drift = lambda: venue.executed(order.client_order_id, "0.01") and None
    bench.kernel.command("reconcile", "ann", "to see")
    bench.advance("12s")
    venue.drift = lambda: None
    bench.advance("10s")
    assert len(venue.executions) >= 4
    assert not bench.of(f.DiscrepancyResolved)
    assert bench.state.quantity("fake", BTC) == venue.positions[BTC]
    bench.check()
