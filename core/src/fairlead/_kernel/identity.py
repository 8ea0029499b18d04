"""Whose order an id is of: it can be read off any venue's list of orders."""

from __future__ import annotations

import re

from fairlead._kernel.state import State
from fairlead._models.words import Word

_ID = re.compile("[0-9a-f]{32}")


class Origin(Word):
    """Where an order's id comes from: somebody else, our journal, or us without the journal knowing of it."""

    FOREIGN = "foreign"
    OURS = "ours"
    LOST = "lost"


def origin(state: State, client_order_id: str) -> Origin:
    """Whether an id is of our namespace, and whether the journal has given it out.

    An id holds namespace, epoch, number and attempt. Numbers rise with each new intent; a later attempt at one has
    its number, in whichever epoch it is made.
    """
    if not _ID.fullmatch(client_order_id):
        return Origin.FOREIGN
    namespace, epoch, number, attempt = (
        int(client_order_id[start:end], 16) for start, end in ((0, 4), (4, 8), (8, 30), (30, 32))
    )
    if namespace != state.namespace:
        return Origin.FOREIGN
    first = state.epochs.get(epoch)
    if client_order_id in state.orders:
        return Origin.OURS
    if first is None:
        return Origin.LOST
    later = [known for known in state.epochs if known > epoch]
    last = state.epochs[min(later)] if later else state.intents
    begins = first if attempt == 1 else 0
    return Origin.OURS if begins < number <= last else Origin.LOST
