"""IB's message codes, by what they prove: https://interactivebrokers.github.io/tws-api/message_codes.html.

A code says what it says about the request that it answers. About an order that works it is a remark: only the order's
status, its executions and the account's lists say what became of it.
"""

from __future__ import annotations

REFUSED = frozenset(
    {
        103, 105, 107, 109, 110, 111, 113, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 131, 132, 133, 134,
        140, 141, 144, 145, 146, 147, 148, 151, 152, 154, 155, 156, 157, 158, 159, 160, 163, 164, 167, 168, 200, 201,
        203, 320, 321, 322, 323, 324, 325, 328, 329, 330, 331, 332, 334, 335, 336, 337, 338, 339, 340, 341, 342, 343,
        344, 345, 346, 347, 348, 349, 350, 351, 352, 353, 355, 356, 357, 358, 359, 360, 361, 362, 363, 364, 367, 368,
        369, 370, 371, 372, 373, 374, 375, 376, 377, 378, 379, 380, 382, 383, 384, 385, 386, 387, 388, 389, 390, 391,
        392, 393, 394, 395, 396, 397, 398, 400, 401, 402, 403, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
        416, 417, 418, 419, 422, 423, 424, 425, 426, 427, 428, 429, 431, 432, 433, 434, 435, 436, 437, 439, 440, 441,
        442, 443, 444, 445, 446, 447, 448, 449, 460, 461, 463, 10005, 10006, 10043, 10052, 10268, 10289, 10293,
        10320, 10329,
    }
)  # fmt: skip
"""The answer to an order that is new: it is not there."""

NOT_CHANGED = REFUSED | {104}
"""The answer to new terms: they do not hold, and the old ones do, or the order is done."""

NOT_CANCELED = frozenset({135, 136, 161, 10147, 10148})
"""The answer to a cancel in vain."""

UNKNOWN_HERE = frozenset({135, 10147})
"""Of these, those that say that there is no such order."""

CANCELED = 202
CLIENT_ID_IN_USE = 326
LOST, RESTORED_DATA_LOST, RESTORED = 1100, 1101, 1102
BROKEN = frozenset({LOST, 2110})
"""TWS has no connection to IB; its socket stays open all the while."""

BACK = frozenset({RESTORED_DATA_LOST, RESTORED})
PORT_MOVED = 1300
TOO_MANY = 100
NO_DATA = frozenset({162, 165, 366})
"""What a question about the past is answered by where there is nothing."""

FARM_OK = frozenset({2104, 2106, 2107, 2108, 2119, 2158})
"""Said at each start, and of no importance."""
