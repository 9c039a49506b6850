"""Where packages come from: the machine's pip settings and an environment's own, as settings of uv.

pip asks all of its indexes and takes the best version; so does a build here. What an
environment names and nobody answers at is left out with a remark, because old specifications
name indexes that are long gone and need nothing from them.
"""

from __future__ import annotations

import configparser
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_OPTIONS = ("index-url", "extra-index-url", "find-links", "cert", "trusted-host", "no-index")
_SHORT = {"-i": "index-url", "-f": "find-links"}
_PROBE_S = 5.0
_SECRET = re.compile(r"(?<=//)[^/@\s]+@")


@dataclass(slots=True)
class Sources:
    """default: the main index, or "" for uv's own. extra, links: further indexes; places with files. remarks: for the log."""

    default: str = ""
    extra: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)
    certificates: str = ""
    no_index: bool = False
    prereleases: bool = False
    remarks: list[str] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        """uv's settings, in its environment variables."""
        values = {
            "UV_DEFAULT_INDEX": self.default,
            "UV_INDEX": " ".join(self.extra),
            "UV_FIND_LINKS": ",".join(self.links),
            "UV_INSECURE_HOST": " ".join(self.trusted),
            "SSL_CERT_FILE": self.certificates,
            "UV_NO_INDEX": "1" if self.no_index else "",
            "UV_PRERELEASE": "allow" if self.prereleases else "",
        }
        return {name: value for name, value in values.items() if value}


def of_machine(variables: Mapping[str, str]) -> Sources:
    """What pip on this machine would use: its files, then its environment variables."""
    values = _from_files(variables)
    for option in _OPTIONS:
        given = variables.get(f"PIP_{option.upper().replace('-', '_')}")
        if given is not None:
            values[option] = given
    sources = Sources(
        default=values.get("index-url", "").strip(),
        extra=values.get("extra-index-url", "").split(),
        trusted=values.get("trusted-host", "").split(),
        certificates=values.get("cert", "").strip(),
        no_index=values.get("no-index", "").strip().lower() in ("1", "true", "yes", "on"),
    )
    _add_links(sources, values.get("find-links", "").split())
    return sources


def with_options(sources: Sources, options: Iterable[tuple[str, str]]) -> Sources:
    """Add what an environment's specification says; changes and returns `sources`."""
    for name, value in options:
        option = _SHORT.get(name, name.lstrip("-"))
        if option in ("index-url", "extra-index-url"):
            _add_index(sources, option, value)
        elif option == "find-links":
            _add_links(sources, [value])
        elif option == "trusted-host":
            sources.trusted.append(value)
        elif option == "pre":
            sources.prereleases = True
        else:
            sources.remarks.append(f"the option {name} {value} has no meaning here and is left out")
    return sources


def without_secrets(text: str) -> str:
    """User names and passwords in URLs, blotted out."""
    return _SECRET.sub("****@", text)


def _add_index(sources: Sources, option: str, url: str) -> None:
    fault = _unreachable(url)
    if fault:
        consequence = "it is left out, and packages that only it has will not be found"
        sources.remarks.append(
            f"the index {without_secrets(url)} of the specification cannot be reached ({fault}): {consequence}"
        )
    elif option == "index-url" and not sources.default:
        sources.default = url
    elif url not in sources.extra:
        sources.extra.append(url)


def _add_links(sources: Sources, places: Iterable[str]) -> None:
    for place in places:
        fault = _unreachable(place) if "://" in place else "" if Path(place).exists() else "no such folder"
        if fault:
            sources.remarks.append(f"the place {without_secrets(place)} for package files cannot be reached ({fault})")
        else:
            sources.links.append(place)


def _unreachable(url: str) -> str:
    """Why nobody answers there, or "". Any HTTP status is an answer."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return "" if Path(unquote(parts.path)).exists() else "no such folder"
    if parts.scheme not in ("http", "https"):
        return "not an http, https or file URL"
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=_PROBE_S):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def _from_files(variables: Mapping[str, str]) -> dict[str, str]:
    home = Path(variables.get("HOME", "/"))
    paths = [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        Path(variables.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf"),
    ]
    if variables.get("PIP_CONFIG_FILE"):
        paths.append(Path(variables["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    parser.read([path for path in paths if os.access(path, os.R_OK)])
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return values
