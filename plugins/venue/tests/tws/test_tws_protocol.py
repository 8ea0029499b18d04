"""The wire of TWS, field by field: handshake, versions, ids and refusals, without any SDK."""

import pytest

from fairlead_venue.tws.codec import Unreadable, codec_of
from fairlead_venue.tws.fields import order_fields

CONTRACT = [0, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", ""]


def order(
    number, version=178, *, action="BUY", quantity=10, kind="LMT", price="190.0", tif="GTC", ref="mine"
):
    """The fields of an order as the published clients write them."""
    profile = [""] if version < 177 else []
    head = [
        3,
        number,
        *CONTRACT,
        "",
        "",
        action,
        quantity,
        kind,
        price,
        "",
        tif,
        "",
        "",
        "",
        0,
        ref,
        1,
        0,
        0,
        0,
    ]
    head += [
        0,
        0,
        0,
        0,
        "",
        0,
        "",
        "",
        "",
        "",
        "",
        *profile,
        "",
        0,
        "",
        -1,
        0,
        "",
        "",
        0,
        "",
        "",
        0,
        0,
        "",
        0,
    ]
    head += [
        "",
        "",
        "",
        "",
        "",
        0,
        "",
        "",
        "",
        "",
        0,
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        0,
        "",
        "",
        0,
        0,
        "",
    ]
    head += ["", 0, "", 0, 0, 0]
    return [
        *head,
        0,
        "",
        "",
        "",
        "",
        "",
        "",
        0,
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        0,
        0,
        0,
        0,
        "",
        0,
        0,
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("hello", "agreed"), [("v157..178", "178"), ("v100..176", "176"), ("v100..217", "178")]
)
def test_the_older_of_both_versions_is_spoken(raw, hello, agreed):
    """The newest that both know."""
    assert raw(-1, version=hello).version == agreed


def test_a_client_that_is_too_old_is_let_go(raw):
    """Nothing older than 176 is spoken."""
    with pytest.raises(EOFError):
        raw(-1, version="v100..175")


def test_messages_have_their_fields(raw):
    """An openOrder has 135 fields at 178 and 136 at 176; an execution 32 and 31."""
    for version, client, open_order, execution in (("178", 1, 135, 32), ("176", 2, 136, 31)):
        link = raw(client, version=f"v157..{version}")
        link.say(*order(1, int(version), price="201"))
        told = link.until(59)
        lengths = {message[0]: len(message) for message in told}
        assert (lengths["5"], lengths["11"], lengths["3"], lengths["59"]) == (open_order, execution, 12, 8)


def test_events_come_in_the_order_of_the_real_one(raw):
    """Terms and status twice, the execution, terms and status again, what it cost last."""
    link = raw()
    link.say(*order(1, price="201"))
    told = link.until(59)
    said = [message[2] if message[0] == "3" else message[0] for message in told]
    assert said == ["5", "PreSubmitted", "5", "Submitted", "11", "5", "Filled", "59"]


def test_ids_rise_per_client_and_outlive_a_connection(raw):
    """A used id is refused with 103; who comes back is told the next one."""
    link = raw()
    link.say(*order(5))
    link.until(3, 5, "Submitted")
    link.say(*order(4))
    assert link.hear()[:5] == ["4", "2", "4", "103", "Duplicate order id"]
    link.link.close()
    again = raw(-1)
    again.say(71, 2, 1, "")
    assert again.until(9)[-1] == ["9", "1", "6"]


def test_our_reference_is_not_unique(raw, venue):
    """The same reference under a new id is a second order."""
    link = raw()
    link.say(*order(1))
    link.until(3, 1, "Submitted")
    link.say(*order(2))
    link.until(3, 2, "Submitted")
    assert [found["client_id"] for found in venue.orders("tws")] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"price": "190.005"}, "110"),
        ({"quantity": 0}, "434"),
        ({"quantity": "1.5"}, "321"),
        ({"kind": "MIDPRICE"}, "321"),
        ({"action": "SSHORT"}, "321"),
        ({"quantity": 1_000_000}, "201"),
        ({"price": "dear"}, "320"),
    ],
)
def test_a_wrong_order_is_refused_with_its_code(raw, words, code):
    """Price step, size, type, side, funds and what is no number."""
    link = raw()
    link.say(*order(1, **words))
    assert link.until(4)[-1][2:4] == ["1", code]


def test_changes_and_cancels_of_what_is_done_are_refused(raw):
    """104 for a filled order, 105 for another side; 10147 and 10148 for cancels in vain, 202 after one that is not."""
    link = raw()
    link.say(*order(1, price="201"))
    link.until(59)
    link.say(*order(1, price="202"))
    link.say(4, 1, 1, "")
    link.say(4, 1, 9, "")
    link.say(*order(2))
    link.until(3, 2, "Submitted")
    link.say(*order(2, action="SELL"))
    link.say(4, 1, 2, "")
    told = link.until(4, 2, 2, 202)
    assert [message[3] for message in told if message[0] == "4"] == ["105", "202"]
    assert told[-2][:3] == ["3", "2", "Cancelled"]


def test_a_change_keeps_the_order(raw, venue):
    """The same id again: the same permId, new terms, one order."""
    link = raw()
    link.say(*order(1))
    link.until(3, 1, "Submitted")
    link.say(*order(1, quantity=20, price="191.0"))
    shown = next(message for message in link.until(3, 1) if message[0] == "5")
    assert shown[14:18] == ["20", "LMT", "191.0", ""]
    assert len(venue.orders("tws")) == 1


def test_garbage_from_a_client_is_answered(raw):
    """A request that nobody knows, one with too few fields, and one before the start."""
    link = raw()
    link.say(777, 1)
    assert link.hear()[3] == "320"
    link.say(1, 11)
    assert link.hear()[3] == "320"
    early = raw(-1)
    early.say(61, 1)
    assert early.hear()[3] == "504"


def test_a_client_that_talks_too_much_is_let_go(raw):
    """More than fifty messages in a second: code 100, and the socket closes."""
    link = raw()
    link.link.sendall(b"\0\0\0\x0549\x001\0" * 150)
    assert link.until(4)[-1][3] == "100"
    with pytest.raises((EOFError, ConnectionResetError)):
        link.hear()


def test_executions_and_completed_orders_are_todays(raw, venue):
    """A day later both lists are empty; the order lives on under its permanent id until then, without the client's."""
    link = raw()
    link.say(*order(1, price="201"))
    link.until(59)
    link.say(99, 0)
    [completed, _] = link.until(102)
    assert "Filled" in completed
    link.say(7, 3, 4, 0, "", "", "", "", "", "")
    assert [message[0] for message in link.until(59)] == ["11", "55", "59"]
    venue.advance("24h")
    link.say(99, 0)
    assert [message[0] for message in link.until(102)] == ["102"]
    link.say(7, 3, 5, 0, "", "", "", "", "", "")
    assert [message[0] for message in link.until(55)] == ["55"]


def test_the_codec_reads_over_what_it_does_not_need():
    """An order with an algorithm and a hedge, whose parameters move what follows, is read all the same."""
    codec = codec_of(178)

    def read(fields):
        return codec.decode("".join(f"{field}\0" for field in fields))

    plain = read(order(1)).params
    fields = [str(field) for field in order(1)]
    at = fields.index("", len(fields) - 34)
    assert (plain["whatIf"], plain["orderRef"], plain["hedgeType"], plain["algoStrategy"]) == (
        "0",
        "mine",
        "",
        "",
    )
    with pytest.raises(Unreadable):
        read(fields[:at])
    names = ["orderId", *order_fields(178, "STK")]
    places = {name: place + (13 if place else 1) for place, name in enumerate(names)}
    hedged = [*fields]
    hedged[places["algoStrategy"]] = "Adaptive"
    hedged[places["algoStrategy"] + 1 : places["algoStrategy"] + 1] = ["1", "adaptivePriority", "Normal"]
    hedged[places["hedgeType"]] = "D"
    hedged[places["hedgeType"] + 1 : places["hedgeType"] + 1] = ["x"]
    found = read(hedged).params
    assert (found["algoStrategy"], found["hedgeType"], found["whatIf"]) == ("Adaptive", "D", "0")
