"""Files to send, and the parts of them that are asked for."""

from __future__ import annotations

from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from conformance.support.peers import MORE_THAN_BUFFERED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

# More than a read takes, no length that any block size divides, and no two places look alike.
CONTENTS = array("I", range(250_000)).tobytes()[:-1]
# The same, and more than the buffers of a connection hold.
LONG = array("I", range(MORE_THAN_BUFFERED // 4)).tobytes()[:-1]


class Part(NamedTuple):
    """Arguments for sending a file with `CONTENTS`, and what of it they stand for."""

    offset: int
    most: int | None
    """the argument ``count``"""
    expected: bytes


PARTS: dict[str, Part] = {
    "all": Part(0, None, CONTENTS),
    "from an offset": Part(12_345, None, CONTENTS[12_345:]),
    "the last byte": Part(len(CONTENTS) - 1, None, CONTENTS[-1:]),
    "a count": Part(0, 623_456, CONTENTS[:623_456]),
    "an offset and a count": Part(5, 300_000, CONTENTS[5:300_005]),
    "one byte": Part(1000, 1, CONTENTS[1000:1001]),
    "more than there is": Part(100, 2 * len(CONTENTS), CONTENTS[100:]),
}
"""What a loop may be asked to send."""


@contextmanager
def sent_file(folder: Path, contents: bytes = CONTENTS) -> Iterator[BinaryIO]:
    """A file with ``contents`` in ``folder``, opened for reading."""
    path = folder / "file"
    path.write_bytes(contents)
    with path.open("rb") as file:
        yield file
