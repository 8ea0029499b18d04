"""One client's socket: the handshake, frames both ways, and who it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from fairlead_venue.channel import Channel
from fairlead_venue.clock import VenueClock
from fairlead_venue.faults import Fault, FaultKind, Faults
from fairlead_venue.tws.codec import Codec, codec_of

OLDEST, NEWEST = 176, 178
SEPARATOR = "\x1e"
"""What stands between payloads that are handed over together; no field has it."""

_HELLO = re.compile(rb"v(\d{1,4})\.\.(\d{1,4})")
_MOST = 0xFFFFFF
"""The longest frame that the published clients send, in bytes."""


class Session(Channel):
    """A connection. A frame is the length of its payload in four bytes, big end first, and the payload.

    What is written while a request is carried out is its answer: `collect` keeps it, since a fault may lose or delay
    that.
    """

    def __init__(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        faults: Faults,
        clock: VenueClock,
        struck: Callable[[Channel, Fault], None],
    ) -> None:
        super().__init__(number, "tws", faults=faults, clock=clock, struck=struck)
        self.client_id = -1
        self.codec: Codec
        self._reader = reader
        self._writer = writer
        self._answer: list[str] | None = None
        self._torn = False

    # --- out ----------------------------------------------------------------------------------------------------

    def tell(self, name: str, **values: Any) -> None:
        """Send a message, or what the faults that strike it make of it; its name is its label."""
        if self.open:
            self.event(self.codec.encode(name, values), [f"event:{name}", name])

    def send(self, frame: str) -> None:
        """Write a payload, or several with the separator between them."""
        if not self.open or self.silent:
            return
        for payload in frame.split(SEPARATOR):
            if self._answer is not None:
                self._answer.append(payload)
            else:
                self._write(payload.encode("utf-8", "backslashreplace"))

    def _write(self, payload: bytes) -> None:
        if not self.open:
            return  # a frame before this one was torn
        data = len(payload).to_bytes(4, "big") + payload
        if self._torn:
            self._writer.write(data[: 4 + len(payload) // 2])
            # What was written shall arrive, and the reset only after it.
            asyncio.get_running_loop().call_soon(self.drop)
            self.open = False
        else:
            self._writer.write(data)

    def collect(self, work: Callable[[], None]) -> str:
        """Do something, and return what was written to this client meanwhile, for `send`."""
        self._answer = []
        try:
            work()
            return SEPARATOR.join(self._answer)
        finally:
            self._answer = None

    # --- ends ---------------------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what was written."""
        self.open = False
        self._writer.close()

    def drop(self) -> None:
        """Reset it."""
        self.open = False
        self._writer.transport.abort()

    def tear(self) -> None:
        """Send half of the next frame, and reset it."""
        self._torn = True

    def spoil(self, frame: str, kind: FaultKind) -> str:
        """A message whose numbers are none, with a field too many, or of a kind that nobody documented."""
        return spoiled(frame, kind)

    # --- in -----------------------------------------------------------------------------------------------------

    async def greet(self, newest: int) -> bool:
        """Agree upon a version; whether there is one. Raises IncompleteReadError where the client leaves."""
        if await self._reader.readexactly(4) != b"API\0":
            return False
        hello = _HELLO.match(await self._frame())
        if hello is None or int(hello[1]) > newest or int(hello[2]) < OLDEST:
            return False
        self.codec = codec_of(min(int(hello[2]), newest))
        self.labels.append(f"version {self.codec.version}")
        return True

    def welcome(self, time: str) -> None:
        """End the handshake."""
        self.send(f"{self.codec.version}\0{time}\0")

    async def frame(self) -> str:
        """The next payload. Raises IncompleteReadError or ConnectionError where the client leaves."""
        return (await self._frame()).decode("utf-8", "backslashreplace")

    async def _frame(self) -> bytes:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        if length > _MOST:
            raise ConnectionError(f"a frame of {length} bytes")
        return await self._reader.readexactly(length)


def spoiled(frame: str, kind: FaultKind) -> str:
    """See `Session.spoil`."""
    before, _, last = frame.rpartition(SEPARATOR)
    fields = last.split("\0")[:-1]
    match kind:
        case FaultKind.UNKNOWN_FIELD:
            fields.append("new")
        case FaultKind.UNKNOWN_ENUM:
            fields[0] = "250"
        case _:
            fields = [fields[0], *("?" for _ in fields[1:])]
    return (before and before + SEPARATOR) + "".join(f"{field}\0" for field in fields)
