"""What bites users of the SDKs, and does not bite us: each named trap under the fault that springs it."""

import asyncio
import logging
from decimal import Decimal

import pytest

from fairlead.ports import (
    Accepted,
    AccountChanged,
    Canceled,
    CancelRejected,
    FillReport,
    FillVoided,
    NotSent,
    OutcomeUnknown,
    Rejected,
    Replaced,
    StreamDown,
    StreamUp,
)
from fairlead_ib import sdk


@pytest.mark.parametrize(
    "code", [10147, 10148, 161, 104, 103, 201, 10349, 105, 321, 202, 399, 404, 434, 110, 2109, 1]
)
def test_no_message_ends_an_order_that_works(run, code):
    """Whatever TWS remarks of it: the order is accepted, fills, and was never canceled."""

    async def story(bench):
        bench.venue.fault("notice", on="order", code=code)
        bench.submit()
        await bench.told(Accepted)
        await bench.broker._gateway.alive(5)
        await bench.venue_does("quote", "AAPL.NASDAQ", 188.0, 188.02)
        await bench.told(FillReport)
        assert [type(report) for report in bench.reports] == [Accepted, FillReport]

    run(story)


def test_a_wrong_price_is_no_order_that_is_pending_for_ever(run):
    """Code 110 on a new order ends it."""

    async def story(bench):
        bench.submit(limit="190.001")
        assert (await bench.told(Rejected)).code == "110"

    run(story)


def test_what_filled_while_we_were_away_is_listed(run):
    """After a reconnect the executions are asked for, with what they cost, and told once."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.venue.disconnect()
        await bench.told(StreamDown)
        await bench.venue_does("quote", "AAPL.NASDAQ", 188.0, 188.02)
        await bench.connect()
        [fill] = await bench.broker.fills(0)
        assert (fill.client_order_id, fill.quantity, fill.fee > 0) == (name, 10, True)
        assert await bench.broker.fills(fill.event_ns + 10**9) == []

    run(story)


def test_a_correction_takes_the_old_one_back(run):
    """One fill voided, one new, ten shares all along; a list says the same once more."""

    async def story(bench):
        bench.submit(limit=None)
        first = await bench.told(FillReport)
        bench.venue.strike("correct", ticks=3)
        _, second = await bench.told(FillReport, 2)
        [gone] = bench.of(FillVoided)
        assert (gone.fill_id, gone.price, gone.quantity) == (first.fill_id, first.price, 10)
        assert second.fill_id not in ("", first.fill_id)
        assert second.price == first.price + Decimal("0.03")
        listed = await bench.broker.fills(0)
        assert [(fill.fill_id, fill.price) for fill in listed] == [(second.fill_id, second.price)]

    run(story)


def test_a_correction_that_was_missed_is_found_in_the_list(run):
    """Who was away, or starts anew, is told that the old one is gone before the new one is listed."""

    async def story(bench):
        bench.submit(limit=None)
        first = await bench.told(FillReport)
        await bench.broker.close()
        bench.venue.strike("correct", ticks=1)
        bench.broker = bench.make_broker()
        await bench.connect()
        [fill] = await bench.broker.fills(0)
        [gone] = bench.of(FillVoided)
        assert (gone.fill_id, fill.price - first.price) == (first.fill_id, Decimal("0.01"))

    run(story)


def test_an_execution_that_was_taken_back_is_voided(run):
    """Nothing new comes in its place."""

    async def story(bench):
        bench.submit(limit=None)
        first = await bench.told(FillReport)
        bench.venue.strike("bust")
        assert (await bench.told(FillVoided)).fill_id == first.fill_id
        assert await bench.broker.fills(0) == []
        assert len(bench.of(FillReport)) == 1

    run(story)


def test_a_late_fee_is_waited_for_a_while(run):
    """It comes within the time: the fill has it. It comes later: the fill is told without, and the fee by itself."""

    async def story(bench):
        bench.venue.fault("delay", on="commissionReport", lasts="50ms")
        bench.venue.fault("delay", on="commissionReport", at=1, lasts="600ms")
        bench.submit(limit=None)
        first = await bench.told(FillReport)
        bench.submit(limit=None)
        _, second = await bench.told(FillReport, 2)
        [one, other] = bench.venue.executions("tws")
        assert first.fee in (0, Decimal(one["fee"]))
        await bench.until(
            lambda: (
                sum(fill.fee for fill in bench.of(FillReport))
                - sum(change.amount for change in bench.of(AccountChanged))
                == Decimal(one["fee"]) + Decimal(other["fee"])
            )
        )
        assert second.fee == Decimal(other["fee"])
        assert [change.cause for change in bench.of(AccountChanged)] in ([], ["fee"])

    run(story)


def test_a_fee_that_never_comes_does_not_keep_a_fill(run, caplog):
    """The fill is told without it, and a person is."""

    async def story(bench):
        bench.venue.fault("lose", on="commissionReport", times=0)
        bench.submit(limit=None)
        assert (await bench.told(FillReport)).fee == 0
        assert bench.of(AccountChanged) == []

    with caplog.at_level(logging.WARNING, "fairlead.ib"):
        run(story)
    assert "was not told in time" in caplog.text


def test_an_order_ends_after_its_executions(run):
    """Partly filled, then canceled: the fill that waits for its fee comes first."""

    async def story(bench):
        bench.venue.fault("delay", on="commissionReport", lasts="100ms")
        name = bench.submit(limit="200.01", quantity="2000")
        await bench.told(Accepted)
        bench.cancel(name)
        ended = await bench.told(Canceled)
        assert [type(report) for report in bench.reports] == [Accepted, FillReport, Canceled]
        assert ended.filled_quantity == bench.of(FillReport)[0].quantity

    run(story)


@pytest.mark.parametrize("label", ["orderStatus", "execDetails", "openOrder", "commissionReport"])
def test_what_comes_twice_counts_once(run, label):
    """One acceptance, one fill."""

    async def story(bench):
        bench.venue.fault("duplicate", on=label, times=0)
        bench.submit(limit=None)
        await bench.told(FillReport)
        await bench.broker._gateway.alive(5)
        assert [type(report) for report in bench.reports] == [Accepted, FillReport]

    run(story)


def test_the_status_may_come_before_the_execution(run):
    """Filled proves nothing by itself; the execution is told when it comes."""

    async def story(bench):
        bench.venue.fault("delay", on="execDetails", lasts="100ms")
        bench.submit(limit=None)
        assert (await bench.told(FillReport)).fee > 0

    run(story)


def test_a_start_without_an_answer_is_no_start(run, monkeypatch):
    """The open orders were not told: it is not connected."""
    real = asyncio.wait_for
    monkeypatch.setattr(
        "fairlead_ib.gateway.asyncio.wait_for", lambda what, seconds: real(what, min(seconds, 0.3))
    )

    async def story(bench):
        bench.venue.fault("lose", on="reqOpenOrders")
        with pytest.raises(Exception, match="gave no answer"):
            await bench.connect()
        bench.submit()
        await bench.told(NotSent)
        await bench.connect()

    run(story, connect=False)


def test_an_order_does_not_wait_behind_data(run):
    """A hundred questions are on their way, eight a second: the order goes before them."""

    async def story(bench):
        gateway = bench.broker._gateway
        questions = [asyncio.ensure_future(bench.broker.lookup(["x"])) for _ in range(50)]
        await asyncio.sleep(0)
        bench.submit()
        await bench.told(Accepted)
        assert gateway.client.MaxRequests == 0
        assert sum(1 for question in questions if not question.done()) > 30
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    run(story)


def test_a_half_open_link_is_noticed(run):
    """TWS does not say what time it is: the stream is down, and what was sent meanwhile is in doubt."""

    async def story(bench):
        await bench.venue_does("strike", "half_open")
        name = bench.submit()
        assert "does not answer" in (await bench.told(StreamDown)).reason
        assert (await bench.told(OutcomeUnknown)).client_order_id == name

    run(story, heartbeat="200ms")


@pytest.mark.parametrize("restored", [1101, 1102])
def test_a_cut_behind_tws_is_a_cut(run, restored):
    """1100: down, and nothing is written. 1101 or 1102: connected on the same socket, up, and executions are heard."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.venue.strike("notice", code=1100)
        assert "1100" in (await bench.told(StreamDown)).reason
        bench.submit()
        await bench.told(NotSent)
        again = asyncio.ensure_future(bench.connect())
        await bench.venue_does("quote", "AAPL.NASDAQ", 188.0, 188.02)
        assert not again.done()
        bench.venue.strike("notice", code=restored)
        await again
        await bench.told(StreamUp)
        assert (await bench.told(FillReport)).client_order_id == name
        assert len(bench.venue.requests("connect")) == 1

    run(story)


@pytest.mark.parametrize("kind", ["tear", "garbage", "unknown_enum"])
def test_what_cannot_be_read_is_asked_for_again(run, kind):
    """The stream is down: the engine connects, lists, and nothing is lost."""

    async def story(bench):
        bench.venue.fault(kind, on="execDetails")
        bench.submit(limit=None)
        await bench.told(StreamDown)
        await bench.connect()
        [fill] = await bench.broker.fills(0)
        assert fill.quantity == 10

    run(story)


def test_fields_that_are_new_do_no_harm(run):
    """An execution with one field more is an execution; an SDK that cannot read it has it listed again."""

    async def story(bench):
        bench.venue.fault("unknown_field", on="execDetails")
        bench.submit(limit=None)
        await bench.until(lambda: bench.of(FillReport) or bench.of(StreamDown))
        if bench.of(StreamDown):
            await bench.connect()
            assert len(await bench.broker.fills(0)) == 1

    run(story)


def test_an_order_whose_answer_is_lost_is_found(run):
    """Neither acceptance nor fill is told; by our reference it is there."""

    async def story(bench):
        bench.venue.fault("lose_answer", on="order")
        name = bench.submit(limit=None)
        await bench.venue_does("wait", "order", what="answers")
        found = await bench.broker.lookup([name])
        assert found[name].filled_quantity == 10
        [fill] = await bench.broker.fills(0)
        assert fill.client_order_id == name

    run(story)


def test_a_change_whose_answer_is_lost_is_in_doubt(run):
    """The connection breaks before the new terms are told: unknown, and the list of orders shows which hold."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.venue.fault("lose_answer", on="amend")
        bench.replace(name)
        await bench.venue_does("wait", "amend", what="answers")
        bench.venue.disconnect()
        await bench.told(OutcomeUnknown)
        await bench.connect()
        found = await bench.broker.lookup([name])
        assert found[name].limit_price == 191
        assert not bench.of(Replaced)

    run(story)


def test_an_id_that_went_back_changes_no_other_order(run):
    """TWS says a lower next id than it has orders of: ours is above them all."""

    async def story(bench):
        bench.submit()
        await bench.told(Accepted)
        bench.broker._gateway._on_next_id(1)
        bench.submit(limit="180")
        await bench.told(Accepted, 2)
        assert len(bench.venue.orders("tws")) == 2

    run(story)


def test_a_cancel_that_comes_to_nothing_is_said(run):
    """The order had filled: the cancel is refused by its code, and the fill stands."""

    async def story(bench):
        name = bench.submit()
        await bench.told(Accepted)
        bench.venue.fault("lose", on="event:*", times=0)
        await bench.venue_does("quote", "AAPL.NASDAQ", 188.0, 188.02)
        bench.venue.clear()
        bench.cancel(name)
        assert (await bench.told(CancelRejected)).code == "10148"
        assert not bench.of(Canceled)

    run(story)


def test_the_sdk_is_imported_late(run):
    """Not with the package, and in a loop that runs: it asks for one when it is imported."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import fairlead_ib, sys; print('ib_async' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"

    async def story(bench):
        assert sdk.load().__name__ in sdk.NAMES

    run(story)
