"""What aiohttp's server wants from a handler whose answer has been written past it."""


class Written:
    """What aiohttp's server wants from a handler: the answer is written already."""

    __slots__ = ("keep_alive",)

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: object) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


KEEP, CLOSE = Written(True), Written(False)
