"""URLs as they may be shown: in errors, in notes, in what a study keeps."""

from __future__ import annotations

import re
from urllib.parse import unquote

_CREDENTIALS = re.compile(r"(?P<before>\w[\w+.-]*://[^:/?#@\s]*):(?P<password>[^\s]*)@")
"""Up to the last @: a password may have one of its own, which a URL should have as %40."""

_IN_QUERY = re.compile(r"(?P<before>[?&](?:password|passwd|pwd|sslpassword)=)[^&\s]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """A text, such as an option of a command line, with *** for the passwords of the URLs in it."""
    return _IN_QUERY.sub(r"\g<before>***", _CREDENTIALS.sub(r"\g<before>:***@", text))


def passwords_in(url: str) -> tuple[str, ...]:
    """The passwords in a URL, which messages of a driver may repeat: the longest first, whole, decoded and in parts."""
    found = [match["password"] for match in _CREDENTIALS.finditer(url)]
    found += [match[0].partition("=")[2] for match in _IN_QUERY.finditer(url)]
    # A driver may take what follows an @ in a password for the name of a host.
    shown = {text for whole in (*found, *map(unquote, found)) for text in (whole, *re.split("[@:/]", whole))}
    return tuple(sorted(filter(None, shown), key=len, reverse=True))
