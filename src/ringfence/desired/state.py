"""The contract between thinking and hands: what shall exist, as plain values.

`desired.build` makes a `State` from a snapshot; a driver makes it true and reports
`Observed` values. It imports nothing of ours but its own parts, knows no Azure type and holds
no decision: addresses, names and order were chosen before. Keys are stable over
restarts; two items are the same item if their keys are equal, and unchanged if their
fingerprints are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ringfence.desired.container_items import Container as Container
from ringfence.desired.container_items import Volume as Volume
from ringfence.desired.contents import Bundle as Bundle
from ringfence.desired.contents import Environment as Environment
from ringfence.desired.contents import File as File
from ringfence.desired.contents import Image as Image
from ringfence.desired.contents import ImageBuild as ImageBuild
from ringfence.desired.item import PLATFORM_ADDRESS as PLATFORM_ADDRESS
from ringfence.desired.item import Item as Item
from ringfence.desired.item import Key as Key
from ringfence.desired.observation import Flow as Flow
from ringfence.desired.observation import Observed as Observed
from ringfence.desired.observation import Readiness as Readiness

#: The key of the network that stands for the internet (the `edge` namespace).
INTERNET: Key = "net/internet"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateAddress:
    """An address of a private endpoint: TCP to `port` goes on to the service at `target`, which sees it come from `link`."""

    address: str
    port: int
    target: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSource:
    """What leaves `prefix` for one of `destinations` is seen there as coming from `link` (a subnet's service endpoints)."""

    prefix: str
    destinations: tuple[str, ...]
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Item):
    """One virtual network: a router namespace of its own, joined to the edge.

    index: small, unique, stable; names and transit addresses derive from it.
    prefixes: address space; what has no endpoint inside it is dropped, never sent on.
    egress: the public address that outbound connections take, or None for no way out.
    peered: prefixes of other networks that packets may go to; the ways there are Peerings.
    private: addresses of private endpoints; only while their connections are approved.
    sources: no two have the same prefix and destination.
    owned: pairs of a public address and the private one that has it for itself, both ways.
    kept: public addresses that are routed here with or without a frontend, so that connections to a former one go on.
    """

    rank: ClassVar[int] = 10
    index: int
    prefixes: tuple[str, ...]
    egress: str | None = None
    owned: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    peered: tuple[str, ...] = ()
    private: tuple[PrivateAddress, ...] = ()
    sources: tuple[ServiceSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peering(Item):
    """A link between two networks' routers, with routes both ways. one is the lesser key."""

    rank: ClassVar[int] = 15
    one: Key
    other: Key
    one_prefixes: tuple[str, ...]
    other_prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Item):
    """A network interface with one IPv4 address in a namespace of its own, on its network's router.

    network: key of the Network, or INTERNET for a host on the internet.
    Only packets from `address` may leave it.
    """

    rank: ClassVar[int] = 20
    network: Key
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAddress:
    """A virtual address of a cluster's service range, as its pods see it."""

    address: str
    protocol: str  # "tcp" | "udp"
    port: int
    target: str
    target_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMap(Item):
    """The service range as seen from one endpoint (kube-proxy's work): dnat on output."""

    rank: ClassVar[int] = 25
    endpoint: Key
    range: str
    services: tuple[ServiceAddress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One security rule, resolved to prefixes. Empty sources/destinations/ports mean `any`.

    name: unique in its group and direction; the kernel counts packets under it.
    protocol: "tcp", "udp", "icmp", "esp", "ah" or "*". Ports: inclusive pairs; protocol `*` with ports means TCP and UDP.
    """

    name: str
    priority: int
    protocol: str
    sources: tuple[str, ...] = ()
    source_ports: tuple[tuple[int, int], ...] = ()
    destinations: tuple[str, ...] = ()
    destination_ports: tuple[tuple[int, int], ...] = ()
    allow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """An NSG as one network sees it, default rules included, in order of priority; first match decides."""

    id: str  # lower-case resource id of the NSG; counters are reported under it
    name: str  # a short token, unique in the network, fit for a chain name ([a-z0-9_], at most 40)
    inbound: tuple[Rule, ...]
    outbound: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which rule sets (by `RuleSet.name`) hold at an endpoint. None: no group at that level, so allow.

    Outbound: nic, then subnet. Inbound: subnet, then nic.
    private: the address of a private endpoint, where nothing stands: only inbound rules hold, and judge the address itself.
    """

    endpoint: Key
    address: str
    subnet: str | None
    nic: str | None
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Item):
    """All packet filtering of one network, replaced as one."""

    rank: ClassVar[int] = 30
    network: Key
    rule_sets: tuple[RuleSet, ...]
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer(Item):
    """A load balancer's frontend and port, spread over targets that answer the probe.

    public: the frontend is a public address, routed from the edge to this network.
    floating: inbound rules of the targets judge the frontend's address and port (Azure's
    floating IP, which AKS always uses), not the target's.
    by_source: whether a client's address alone decides who gets its connections.
    probe_port: 0 for no probes: every target counts as healthy.
    probe_path: an HTTP GET that must answer 200, or None for a TCP connect. Probes come from 168.63.129.16.
    """

    rank: ClassVar[int] = 40
    network: Key
    address: str
    port: int
    protocol: str = "tcp"
    public: bool
    floating: bool
    targets: tuple[Target, ...]
    by_source: bool = False
    probe_port: int
    probe_path: str | None = None
    probe_interval_s: float = 5.0
    probe_threshold: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """name: lower case, no final dot; a leading `*.` matches any one or more labels.

    kind: "A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV" or "TXT"; values in the presentation format of zone files.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Item):
    """What a resolver answers at 168.63.129.16 of a network, or on port 53 of an endpoint.

    Names that no record matches do not exist. Longest match wins; exact before wildcard.
    """

    rank: ClassVar[int] = 50
    at: Key
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """When a process that does not answer `GET /` any more is started again. Times in seconds; counts in a row."""

    delay_s: float
    period_s: float
    timeout_s: float
    successes: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """As whom a pod speaks to the API server of its cluster. server: what stands for that API server in its tokens."""

    server: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload(Item):
    """A scoring process, sandboxed, in an endpoint's namespace.

    image: the `Image` it runs from. bundle: mounted read-only at /var/azureml-app.
    variables: environment variables. cpu: cores that it may use at most, or 0 for no limit. memory_mb: MiB.
    port: where it serves; `GET /` is its readiness. nameserver: what its /etc/resolv.conf says.
    search: the domains that it completes names with. nonce: changes to force a restart.
    account: whose token it finds where Kubernetes puts it; None outside of clusters.
    """

    rank: ClassVar[int] = 70
    endpoint: Key
    image: Key
    bundle: Key
    variables: tuple[tuple[str, str], ...]
    cpu: float
    memory_mb: int
    port: int
    nameserver: str = PLATFORM_ADDRESS
    nonce: str = ""
    liveness: Liveness | None = None
    search: tuple[str, ...] = ()
    account: ServiceAccount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One service behind an inference router.

    keys: hex sha256 of every accepted `Authorization` value (`Bearer <key>`); required when auth is on.
    token_key: a public key (PEM) instead of keys: a token signed with its other half, for `audience`, opens the service.
    """

    service: str
    auth: bool
    keys: tuple[str, ...]
    targets: tuple[Target, ...]
    timeout_ms: int
    max_concurrent: int
    max_queue_wait_ms: int
    token_key: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a router ends TLS. name: what the certificate is for.

    certificate, key: PEM, the certificate first in its chain. Both empty: the driver has one issued for `name`, and renews it.
    serial: changes to have another one issued.
    """

    name: str
    certificate: str = ""
    key: str = field(default="", repr=False)
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router(Item):
    """The inference router of a cluster (azureml-fe's place), in an endpoint's namespace, on `port`.

    root: the one service that is served at `/`; "" for all of them below their names.
    """

    rank: ClassVar[int] = 80
    endpoint: Key
    port: int
    routes: tuple[Route, ...]
    tls: Tls | None = None
    root: str = ""


AnyItem = (
    Network
    | Peering
    | Endpoint
    | ServiceMap
    | Filter
    | Balancer
    | View
    | Environment
    | ImageBuild
    | Image
    | Bundle
    | Workload
    | Container
    | Router
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something that a resource asks for is not there: Azure's code and words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything that shall exist, by key; and what cannot."""

    items: Mapping[Key, AnyItem] = field(default_factory=dict)
    #: By the resource that asked: what cannot be, until somebody is given a right.
    refused: Mapping[str, Refusal] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Iterable[AnyItem], refused: Mapping[str, Refusal] | None = None) -> State:
        """Raises ValueError on a key given twice with different content."""
        by_key: dict[Key, AnyItem] = {}
        for item in items:
            if by_key.setdefault(item.key, item) != item:
                raise ValueError(f"two different items share the key {item.key}")
        return cls(by_key, dict(refused or {}))

    def __iter__(self) -> Iterator[AnyItem]:
        return iter(self.items.values())
