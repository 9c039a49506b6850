"""Private endpoints of a real sandbox, asked by name from everywhere: internet, own, other and peered networks, strangers."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box
else:
    from boxes import Box

SCRIPT = str(Path(__file__).with_name("private_world.py"))
PRIVATE = "10.1.0."
SERVED = {
    "blob": (401, "NoAuthenticationInformation"),
    "vault": (404, "SecretNotFound"),
    "workspace": (200, ""),
    "registry": (401, "UNAUTHORIZED"),
}
CLOSED = {
    "blob": (403, "AuthorizationFailure"),
    "vault": (403, "ForbiddenByConnection"),
    "workspace": (403, "UserError"),
    "registry": (403, "DENIED"),
}


def test_who_reaches_a_private_endpoint_by_its_name(box: Box) -> None:
    assert box.ringfence("up").returncode == 0
    made = box.at("internet", sys.executable, SCRIPT, "make", str(box.state / "admin.json"))
    assert made.returncode == 0, made.stderr

    def asked(at: str) -> dict[str, Any]:
        done = box.at(at, sys.executable, SCRIPT, "ask", made.stdout)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    everywhere = ("internet", "va/default", "va/other", "vb/default", "vc/default", "vd/default")
    with ThreadPoolExecutor(3) as pool:
        seen = dict(zip(everywhere, pool.map(asked, everywhere), strict=True))
    for at in ("va/default", "va/other", "vb/default"):  # its own network, and the peered one with the zones
        for name, (address, status, code) in seen[at].items():
            assert address.startswith(PRIVATE) and status == SERVED[name][0] and SERVED[name][1] in code, (at, name, seen[at])
    for at in ("internet", "vd/default"):  # outside, and a network of the same addresses without the zones
        for name, (address, status, code) in seen[at].items():
            assert address.startswith("198.18.") and status == CLOSED[name][0] and CLOSED[name][1] in code, (at, name, seen[at])
    for name, (address, status, _) in seen["vc/default"].items():  # the zones alone are no way
        assert address.startswith(PRIVATE) and status == 0, (name, seen["vc/default"])
