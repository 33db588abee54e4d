"""A file on a web server, read in pieces with HTTP range requests."""

import io
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from pipeline_src.clips.outcomes import OverLimitsError
from pipeline_src.settings.clips import FetchSettings

BLOCK_BYTES = 256 * 1024
KEPT_BLOCKS = 16
LONGEST_PAUSE_S = 30.0


class NoRangesError(Exception):
    """The server does not serve parts of this file."""


class IncompleteError(Exception):
    """The server ended an answer early."""


class Budget:
    """Bytes and pace of a download, shared by all its files.

    Args:
        settings: max_bytes and rate_limit.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._spent = 0
        self._started = time.monotonic()

    def spend(self, count: int) -> None:
        """Account for received bytes; wait where they came faster than allowed."""
        self._spent += count
        if self._spent > self._settings.max_bytes:
            raise OverLimitsError(f"larger than fetch.max_bytes {self._settings.max_bytes}")
        if self._settings.rate_limit:
            ahead = self._spent / self._settings.rate_limit - (time.monotonic() - self._started)
            time.sleep(max(0.0, ahead))


class RangeFile(io.RawIOBase):
    """A seekable file over HTTP.

    Args:
        ask: takes request headers; gives a response with `status`, `headers` and `read`, or raises.
        budget: of the download.
        retries: further attempts of a request that breaks off.

    Raises:
        NoRangesError: the server answers with the whole file.
    """

    def __init__(self, ask: Callable[[Mapping[str, str]], Any], budget: Budget, retries: int) -> None:
        self._ask, self._budget, self._retries = ask, budget, retries
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._place = 0
        self._size = 0
        self._size = self._fetch(0)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of the next byte."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Read up to the end of one block."""
        if self._place >= self._size:
            return 0
        number, inside = divmod(self._place, BLOCK_BYTES)
        if number not in self._blocks:
            self._fetch(number)
        self._blocks.move_to_end(number)
        piece = self._blocks[number][inside : inside + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def _fetch(self, number: int) -> int:
        """Get a block into the cache; the size of the whole file."""
        for attempt in range(self._retries + 1):
            try:
                return self._request(number)
            except Exception as error:
                lasting = isinstance(error, NoRangesError | OverLimitsError) or _is_final(
                    getattr(error, "status", None)
                )
                if lasting or attempt == self._retries:
                    raise
                time.sleep(min(LONGEST_PAUSE_S, 0.5 * 2**attempt))
        raise AssertionError("unreachable")

    def _request(self, number: int) -> int:
        first = number * BLOCK_BYTES
        last = first + BLOCK_BYTES - 1
        response = self._ask({"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"})
        try:
            if response.status != 206:
                raise NoRangesError(f"status {response.status} for a range")
            unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
            place, _, total = rest.partition("/")
            if unit != "bytes" or not total.isdigit() or not place.startswith(f"{first}-"):
                raise NoRangesError("no valid Content-Range")
            size = int(total)
            expected = min(BLOCK_BYTES, size - first)
            content = b""
            while len(content) < expected and (piece := response.read(expected - len(content))):
                content += piece
                self._budget.spend(len(piece))
        finally:
            response.close()
        if len(content) < expected or (self._size and size != self._size):
            raise IncompleteError(f"the server sent {len(content)} of {expected} bytes")
        self._blocks[number] = content
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return size


def _is_final(status: Any) -> bool:
    """Whether an HTTP status will be the same for the same request at once."""
    return isinstance(status, int) and 400 <= status < 500 and status != 408
