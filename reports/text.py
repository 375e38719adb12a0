"""Text that a case produced, made fit to be shown: whatever a loop printed, no renderer may break on it."""

from __future__ import annotations

import re

DETAILS_LIMIT = 20_000
"""Characters of one case's details that a page shows: the stacks of some forty threads; the report keeps all."""

MESSAGE_LIMIT = 500
"""Characters of a one-line message: more is no longer one line on any screen."""

# Colours, cursor movement and titles: CSI and OSC sequences, then any other two-character escape. A title that does not
# end on its line is none, and hides nothing of what follows.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]")

# What XML 1.0 forbids (C0 except tab and line ends, surrogates, two noncharacters), and besides it the C1 controls,
# which terminals obey, the marks that reorder what stands around them or are written to (U+061C, U+200E …), and the
# separators by which some programs end a line (U+2028, U+2029; U+0085 is among the C1 controls).
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def plain(text: str) -> str:
    """``text`` without terminal sequences, with ``\\n`` line ends and every unprintable character as its escape.

    The result can be encoded in UTF-8 and stand in XML, HTML, Markdown and on a terminal.
    """
    if text.isprintable():
        # Nearly all of it: a page of eight thousand cases asks a hundred thousand times.
        return text
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub(_escape, text)


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """``text`` as `plain` gives it, on one line and at most ``limit`` characters long, an ellipsis at the cut."""
    # A message far beyond the limit is cut before the costly work; terminal sequences shorten what is left of it.
    line = " ".join(plain(text[: 10 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clip(text: str, limit: int = DETAILS_LIMIT) -> str:
    """The head and tail of ``text`` as `plain` gives it, about ``limit`` characters, and between them what is missing.

    The tail is kept because the assertion that failed stands at the end of a traceback.
    """
    if len(text) > 2 * limit:
        cut = len(text) - 2 * limit
        text = text[:limit] + text[-limit:]
    else:
        cut = 0
    text = plain(text)
    if len(text) <= limit and not cut:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    missing = cut + len(text) - len(head) - len(tail)
    return f"{head}\n… {missing:,} characters are left out here; report.json has them all …\n{tail}"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 case``, ``1,200 cases``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def seconds(duration: float) -> str:
    """A duration in seconds as people write it: ``3 ms``, ``4.2 s``, ``12 min 5 s``."""
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def reason(error: OSError | ValueError) -> str:
    """What the system says, in lower case and without its number; or Python, of a name that the system cannot have."""
    said = error.strerror if isinstance(error, OSError) else None
    return (said or str(error) or type(error).__name__).lower()


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
