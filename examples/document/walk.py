"""The whole document, from its first line to its last, typed by a script against a running Ringfence.

    python examples/document/walk.py --state DIR --az AZ --client-python PYTHON [--json]

Commands are the document's own, by the unmodified Azure CLI and SDK at the location `internet`;
what they open or close is measured from locations. Prints each step with its seconds and each
check with what was found; exits 1 if a check does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ASK = HERE.parent / "secure-inferencing" / "ask.py"
MARK = "@@ "


class Walk:
    """The person at the keyboard. found: (section, check, what was found, whether it holds)."""

    def __init__(self, state: Path, az: str, client_python: str, out: Callable[[str], None]) -> None:
        self.state, self.az, self.out = state, az, out
        self.found: list[tuple[str, str, str, bool]] = []
        self.seconds: dict[str, float] = {}
        self.section = ""
        self._folder = tempfile.TemporaryDirectory(prefix="ringfence-typed-")
        self.folder = self._folder.name
        who = json.loads((state / "admin.json").read_text())
        self.who = who
        names = {"TENANT_ID": "tenantId", "ID": "clientId", "PASSWORD": "clientSecret"}
        self.variables = {
            **os.environ,
            **{f"AZUREML_SERVICE_PRINCIPAL_{name}": who[key] for name, key in names.items()},
            "RINGFENCE_SUBSCRIPTION_ID": who["subscriptionId"],
            "AZUREML_LOG_DEPRECATION_WARNING_ENABLED": "False",
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "PYTHONWARNINGS": "ignore",
        }
        self.session = subprocess.Popen(
            self._at("internet", client_python, "-u", str(HERE / "sdk.py")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.folder, env=self.variables,
        )  # fmt: skip

    def begin(self, section: str) -> None:
        self.section = section
        self.out(f"\n== {section}")

    def type(self, script: str, *arguments: str) -> str:
        """Run one of the files of commands; returns what it printed. Raises RuntimeError."""
        begun = time.monotonic()
        text = f'az() {{ "{self.az}" "$@"; }}\nset -euo pipefail\n' + (HERE / f"{script}.sh").read_text()
        done = subprocess.run(
            self._at("internet", "bash", "-c", text, script, *arguments),
            capture_output=True, text=True, check=False, cwd=self.folder, env=self.variables,
        )  # fmt: skip
        self._took(f"{script}.sh", begun)
        if done.returncode:
            raise RuntimeError(f"{script}.sh: {done.stdout}{done.stderr}")
        return done.stdout

    def python(self, step: str) -> Any:
        """One step in the SDK's session; returns what it said. Raises RuntimeError."""
        begun = time.monotonic()
        assert self.session.stdin is not None and self.session.stdout is not None
        self.session.stdin.write(step + "\n")
        self.session.stdin.flush()
        shown = []
        for line in self.session.stdout:
            if line.startswith(MARK):
                self._took(f"{step} (SDK)", begun)
                answer = json.loads(line[len(MARK) :])
                if not answer["ok"]:
                    raise RuntimeError(f"{step}: {''.join(shown)}")
                return answer["said"]
            shown.append(line)
        raise RuntimeError(f"{step}: the session ended: {''.join(shown)}")

    def answers(self, location: str, at: Any) -> bool:
        """Whether an endpoint scores, asked from a location."""
        done = subprocess.run(
            self._at(location, sys.executable, str(ASK), at["uri"], at["key"]), capture_output=True, text=True, check=True
        )
        return bool(json.loads(done.stdout).get("status") == 200)

    def ringfence(self, location: str, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._at(location, *command), capture_output=True, text=True, check=False, env=self.variables)

    def check(self, what: str, holds: bool, found: object = "") -> None:
        shown = str(found).strip().replace("\n", " ")
        self.found.append((self.section, what, shown, holds))
        self.out(f"   {'ok ' if holds else 'NOT'} {what}" + (f": {shown[:300]}" if shown else ""))

    def close(self) -> None:
        assert self.session.stdin is not None
        self.session.stdin.close()
        self.session.wait(timeout=20)
        self._folder.cleanup()

    def _took(self, what: str, begun: float) -> None:
        name = what if what not in self.seconds else f"{what} again"
        self.seconds[name] = round(time.monotonic() - begun, 1)
        self.out(f"   {name}: {self.seconds[name]} s")

    def _at(self, location: str, *command: str) -> list[str]:
        return [sys.executable, "-m", "ringfence.cli", "--state", str(self.state), "exec", "--at", location, "--", *command]


def prerequisites(walk: Walk) -> None:
    walk.begin("Prerequisites")
    login = ("login", "--service-principal", "-u", walk.who["clientId"], "-p", walk.who["clientSecret"])
    done = walk.ringfence("internet", walk.az, *login, "--tenant", walk.who["tenantId"], "-o", "none")
    walk.check("az login", done.returncode == 0, done.stderr)
    walk.type("before")


def clusters(walk: Walk) -> dict[str, str]:
    walk.begin("Azure Kubernetes Service")
    address = walk.python("snippet1")
    walk.check("snippet 1 makes a cluster with a public address", address.startswith("198.19."), address)
    service = walk.python("aks")
    walk.check("the scoring URI names the endpoint's address", f"//{address}" in service["uri"], service["uri"])
    walk.check("no rule lets the internet in: nothing answers", not walk.answers("internet", service))
    walk.type("scoring", address)
    walk.check("with the inbound rule of the document it scores", walk.answers("internet", service))
    walk.check("and inside the virtual network", walk.answers("mynetwork/default", service))
    return dict(service)


def contributor(walk: Walk) -> None:
    walk.begin("Network Contributor role")
    said = walk.python("snippet2")
    walk.check("without the role an internal load balancer is refused", "AuthorizationFailed" in said, said)
    granted = walk.type("contributor", walk.python("cluster"), "myresourcegroup", "myvnetresourcegroup")
    walk.check("the four steps of the document", "4d97b98b-1d4f-4787-a291-c67834d212e7" in granted, granted)
    address = walk.python("snippet2")
    walk.check("then snippet 2 works, with a private address only", address.startswith("10.2."), address)


def internal(walk: Walk, service: dict[str, str]) -> None:
    walk.begin("Internal AKS load balancer")
    name = walk.python("mine")
    walk.type("contributor", name, "myresourcegroup", "mygroup")
    walk.type("internal")
    moved = walk.python("where")
    walk.check("az ml computetarget update aks moves it to mysubnet", "//10.1.4." in moved["uri"], moved["uri"])
    walk.check("it scores inside", walk.answers("mynetwork/default", moved))
    walk.check("and at its old public address no more", not walk.answers("internet", service))
    address = walk.python("snippet3")
    walk.check(
        "snippet 3 moves it to the subnet default", address.startswith("10.1.") and not address.startswith("10.1.4."), address
    )


def private(walk: Walk) -> None:
    walk.begin("Private AKS cluster")
    said = walk.type("private")
    walk.check("a private cluster is made, attached, and made internal", said.count("Succeeded") == 2, said)
    name = json.loads(said[: said.index("}") + 1])["privateFqdn"]
    for location, reached in (("mynetwork/default", True), ("internet", False), ("myvnetname/default", False)):
        done = walk.ringfence(
            location, "curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", f"https://{name}/version"
        )
        walk.check(
            f"its API server from {location}: {'answers' if reached else 'no answer'}",
            (done.returncode == 0) == reached,
            done.stderr,
        )


def containers(walk: Walk) -> None:
    walk.begin("Azure Container Instances")
    said = walk.type("delegation")
    walk.check("the subnet is delegated", "Microsoft.ContainerInstance/containerGroups" in said, said)
    service = walk.python("aci")
    walk.check("AciWebservice has a private address of the subnet", "//10.3.0." in service["uri"], service["uri"])
    walk.check("it scores inside", walk.answers("myacinetwork/jump", service))
    walk.check("and from the internet nothing answers", not walk.answers("internet", service))


def outbound(walk: Walk) -> None:
    walk.begin("Limit outbound connectivity")
    walk.type("outbound", "closed")
    said = walk.python("limited")
    walk.check(
        "without the registry's tag the deployment fails, and the log says why", "AzureContainerRegistry.eastus2" in said, said
    )
    walk.type("outbound", "open")
    service = walk.python("opened")
    walk.check("with AzureContainerRegistry.<Region> it works", walk.answers("mynetwork/default", service))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="state folder of a running Ringfence")
    parser.add_argument("--az", required=True, help="the Azure CLI")
    parser.add_argument("--client-python", required=True, help="a Python that has azureml-core")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to standard error")
    given = parser.parse_args()
    stream = sys.stderr if given.json else sys.stdout
    begun = time.monotonic()
    walk = Walk(given.state, given.az, given.client_python, lambda text: print(text, file=stream, flush=True))
    try:
        prerequisites(walk)
        service = clusters(walk)
        contributor(walk)
        internal(walk, service)
        private(walk)
        containers(walk)
        outbound(walk)
    finally:
        walk.close()
    total = round(time.monotonic() - begun, 1)
    holds = all(ok for *_, ok in walk.found)
    if given.json:
        print(json.dumps({"seconds": total, "holds": holds, "checks": walk.found, "steps": walk.seconds}))
    print(f"\n{sum(ok for *_, ok in walk.found)} of {len(walk.found)} checks hold; {total} s", file=stream)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
