"""The cookie file of a logged-in browser."""

import re
from pathlib import Path

from pipeline_src.errors import UserError

HEADER = re.compile(r"#( Netscape)? HTTP Cookie File")
HTTP_ONLY = re.compile(r"(#HttpOnly_)*")
EXPIRES = re.compile(r"([0-9]{1,15}(\.[0-9]+)?)?")


def read_cookies(path: str) -> str:
    """The text of a cookie file in Netscape's format.

    Each line is checked here, since yt-dlp and Python's cookie jar quote those that they do not understand.

    Raises:
        UserError: the file cannot be read or has a wrong line; tells its number and nothing that it holds.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"fetch.cookies: {path} - cannot be read: {error.strerror or error}") from error
    except UnicodeError:
        raise UserError(f"fetch.cookies: {path} - allowed: text in UTF-8, Netscape's cookie format") from None
    first, *lines = text.split("\n")
    if not HEADER.match(first):
        raise UserError(f"fetch.cookies: {path}, line 1 - allowed: # Netscape HTTP Cookie File")
    for number, line in enumerate(lines, 2):
        if not _is_readable(HTTP_ONLY.sub("", line, count=1)):
            raise UserError(
                f"fetch.cookies: {path}, line {number} - allowed: Netscape's cookie format, 7 fields between tabs"
            )
    return text


def _is_readable(line: str) -> bool:
    """Whether a line is empty, a comment or a cookie, by the rules of yt-dlp and of Python's cookie jar together."""
    if line.startswith("#") or not line.strip():
        return True
    fields = line.split("\t")
    if len(fields) != 7 or line.startswith("$"):
        return False
    domain, with_subdomains, _, _, expires, _, _ = fields
    return (with_subdomains == "TRUE") == domain.startswith(".") and EXPIRES.fullmatch(expires) is not None
