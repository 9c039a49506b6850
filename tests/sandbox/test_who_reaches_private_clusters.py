"""A private cluster of a real sandbox: its API server, asked by its name from everywhere, and from its own node and pod."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.desired import keys
from ringfence.drivers.linux.fabric import ROOT
from ringfence.drivers.linux.scan import endpoint_name

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box
else:
    from boxes import Box

SCRIPT = str(Path(__file__).with_name("private_cluster_world.py"))
RESOLVER = "10.200.0.10"
#: Enters the network of a node or of a pod, which are no locations. Arguments: state folder, namespace, command.
_INSIDE = f"""
import sys
from pathlib import Path
from ringfence.sandbox import enter
enter.locate = lambda state, at: enter.Place("inside", sys.argv[2], "", {RESOLVER!r})
sys.exit(enter.run(Path(sys.argv[1]), "inside", sys.argv[3:]))
"""


def test_who_reaches_a_private_api_server_by_its_name(box: Box) -> None:
    assert box.ringfence("up").returncode == 0
    admin = str(box.state / "admin.json")

    def done(*command: str) -> Any:
        found = box.at("internet", sys.executable, SCRIPT, *command)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout or "null")

    kubeconfig = done("make", admin)

    def asked(at: str) -> Any:
        command = (sys.executable, SCRIPT, "ask", json.dumps(kubeconfig))
        within = (sys.executable, "-c", _INSIDE, str(box.state), at, *command)
        found = box.program(*within) if at.startswith("/") else box.at(at, *command)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    everywhere = ("internet", "va/default", "va/other", "vb/default", "vc/default", "vd/default", *_inside(admin))
    with ThreadPoolExecutor(3) as pool:
        seen = dict(zip(everywhere, pool.map(asked, everywhere), strict=True))
    private, status, nodes, addresses = seen["va/default"]
    assert private.startswith("10.1.0.") and status == 200 and len(nodes) == 1 and len(addresses) == 2, seen
    for at in ("va/other", *_inside(admin)):  # another subnet of its network, its own node, a pod of its own
        assert seen[at] == seen["va/default"], (at, seen)
    for at in ("internet", "vd/default"):  # outside, and a peered network that no zone is linked to
        assert seen[at] == ["", 0, [], []], (at, seen)
    for at in ("vb/default", "vc/default"):  # the zone alone is no way, nor is one half of a peering
        assert seen[at] == [private, 0, [], []], (at, seen)
    done("peer", admin)
    assert asked("vb/default") == seen["va/default"]
    assert done("remove", admin) == [["kube-apiserver"], 403, "DenyAssignmentAuthorizationFailed"]


def _inside(admin: str) -> tuple[str, ...]:
    """The network namespaces of the cluster's node and of its resolver, which is a pod."""
    subscription = json.loads(Path(admin).read_text())["subscriptionId"]
    cluster = f"/subscriptions/{subscription}/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/private"
    own = (f"nic/{keys.short(f'{cluster}/agentPools/nodepool1')}-node0", f"nic/{keys.short(cluster)}-pod-dns")
    return tuple(str(ROOT / "netns" / endpoint_name(key)) for key in own)
