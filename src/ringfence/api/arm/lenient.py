"""Templates as people write them: JSON with comments, and the body in which a client sends one without reading it.

Comments and line breaks inside of texts are kept or escaped with an eye on where texts
begin and end. The Azure CLI puts a template file as it is behind the bare word `template`.
"""

from __future__ import annotations

import re

#: Each part ends somewhere, closed or not, so that reading takes a time that grows with the length only.
_PART = re.compile(
    r'(?P<text>"(?:[^"\\]++|\\.)*+"?)|(?P<comment>//[^\r\n]*|/\*.*?(?:\*/|\Z))|(?P<bare>\btemplate(?=\s{0,80}:))'
    r'|(?P<rest>[^"/t]+|.)',
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x1f]")


def strict(content: bytes) -> bytes:
    """The same in plain JSON. What is no UTF-8 stays as it is, for the strict reader to refuse."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content
    return "".join(_part(found) for found in _PART.finditer(text)).encode()


def _part(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "text":
            return _CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", found[0])
        case "comment":
            return " "
        case "bare":
            return '"template"'
    return found[0]
