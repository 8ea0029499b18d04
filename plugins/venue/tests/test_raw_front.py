"""A protocol on plain TCP is a front too: its lines get the same latency, faults, log and books."""

import asyncio
from decimal import Decimal

from fairlead import OrderType, Quote, Side, TimeInForce, default_instrument
from fairlead_venue import Fault, FaultKind, FaultPlan
from fairlead_venue.box import Box
from fairlead_venue.channel import Channel
from fairlead_venue.fronts import RawFront, Settings
from fairlead_venue.orders import Wanted
from fairlead_venue.wire import Call, Reply


class Line(Channel):
    """A connection of lines."""

    def __init__(self, writer, **more):
        super().__init__(1, "line", **more)
        self.writer = writer

    def send(self, frame):
        if self.open and not self.silent:
            self.writer.write(f"{frame}\n".encode())

    def drop(self):
        self.open = False
        self.writer.transport.abort()

    def close(self, code=1000, reason=""):
        self.open = False
        self.writer.close()

    def spoil(self, frame, kind):
        return "%%%"


class LineFront:
    """`buy QUANTITY` is answered by `ok NUMBER`, and told of by `fill NUMBER`."""

    def __init__(self, settings, server):
        self.server = server
        self.account = server.exchange.open_account("main", settings.cash)
        self.rules = default_instrument("BTC/USDT", "line", tick="1")
        server.exchange.learn(self.rules, ["main"])
        server.exchange.listen(self.told)

    async def open(self, host, port):
        self.listening = await asyncio.start_server(self.serve, host, port)
        return {"line": "%s:%s" % self.listening.sockets[0].getsockname()[:2]}  # noqa: UP031

    async def close(self):
        self.listening.close()

    async def serve(self, reader, writer):
        server = self.server
        line = Line(writer, faults=server.faults, clock=server.exchange.clock, struck=server.strike)
        server.join(line)
        while text := await reader.readline():
            word, quantity = text.decode().split()
            server.serve(Call(word, "line", body=quantity.encode(), channel=line))
        server.leave(line)

    def told(self, event):
        if getattr(event, "kind", "") == "trade":
            for channel in self.server.channels:
                channel.event(f"fill {event.order.number}", ["event:order"])

    def read(self, call):
        call.labels = ["order", call.method]

    def execute(self, call):
        wanted = Wanted(
            instrument=self.rules, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal(call.body.decode()),
            time_in_force=TimeInForce.IOC,
        )  # fmt: skip
        return Reply(f"ok {self.account.place(wanted).number}")

    def refused(self, call, fault, until_ns):
        return Reply(f"no: {fault.kind.value}")

    def spoil(self, body, kind):
        return "%%%"

    def struck(self, channel, fault):
        channel.send("bye" if fault.kind is FaultKind.SHUTDOWN else "expired")


def test_a_front_may_listen_itself(monkeypatch):
    """Orders, duplicates, refusals, lost answers and a shutdown, all by the common plan."""
    monkeypatch.setattr("fairlead_venue.box.front_class", lambda protocol: LineFront)
    assert issubclass(LineFront, RawFront)
    plan = FaultPlan(
        faults=(
            Fault(kind="duplicate", on="event:order", at=2),
            Fault(kind="refuse", on="buy", at=3),
            Fault(kind="lose_answer", on="order", at=4),
            Fault(kind="garbage", on="order", at=5),
        )
    )

    async def story():
        box = Box("line", Settings(cash={"USDT": Decimal(1000)}), plan=plan)
        try:
            host, port = (await box.open())["line"].split(":")
            now = box.clock.now()
            box.exchange.market(Quote("BTC/USDT", 99.0, 100.0, 50.0, 50.0, now, now))
            reader, writer = await asyncio.open_connection(host, int(port))
            said = []
            for expected in (2, 3, 1, 1, 2):
                writer.write(b"buy 1\n")
                said.append(
                    [(await asyncio.wait_for(reader.readline(), 3)).decode().strip() for _ in range(expected)]
                )
            assert said == [
                ["fill 1001", "ok 1001"], ["fill 1002", "fill 1002", "ok 1002"], ["no: refuse"], ["fill 1003"],
                ["fill 1004", "%%%"],
            ]  # fmt: skip
            assert [seen.outcome for seen in box.server.log.seen if seen.method == "buy"][3] == "unanswered"
            box.server.gate.now(Fault(kind="shutdown"))
            assert await asyncio.wait_for(reader.readline(), 3) == b"bye\n"
            assert await asyncio.wait_for(reader.read(), 3) == b""
            assert box.exchange.accounts["main"].holding(box.exchange.named("BTC/USDT")[0].id).quantity == 4
            writer.close()
        finally:
            await box.close()

    asyncio.run(story())
