"""What each resolver answers: public names everywhere, private zones in the networks they are linked to, a cluster's names in it.

Which names exist and where they lead is `policy.names` and `policy.private_link`. A linked zone is the
authority for every name below it: what it does not hold does not exist there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ringfence.desired import keys
from ringfence.desired.network import owners
from ringfence.desired.state import INTERNET, Record, View
from ringfence.model import balancing as balancing_nouns
from ringfence.model import compute, ml, network, private_dns, registry, storage
from ringfence.model.private_dns import RecordSet, VirtualNetworkLink
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import balancing, names, places, private_link
from ringfence.policy.places import Kind, Place

#: Types whose resources have public names.
_NAMED = (ml.WORKSPACE, compute.MANAGED_CLUSTER, storage.STORAGE_ACCOUNT, registry.REGISTRY, balancing_nouns.PUBLIC_ADDRESS)
#: How long resolvers may keep what a private zone answers, in seconds: the sandbox's clients see a change at once.
_LONGEST_TTL = 10

Records = tuple[Record, ...]


def views(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[View]:
    """One view for the internet, one for each virtual network, one for each cluster's resolver."""
    public = _public(snapshot)
    named = sorted(r.key for type in _NAMED for r in places.alive(snapshot, type))
    yield View(key="dns/internet", owners=tuple(named), at=INTERNET, records=public)
    linked = _linked(snapshot)
    seen: dict[str, Records] = {}
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        if snapshot.value(vnet.id, places.INDEX) is not None:
            seen[vnet.key] = _inside(snapshot, linked.get(vnet.key, ()), public)
            yield View(key=keys.view(vnet.key), owners=(vnet.key,), at=keys.network(vnet.key), records=seen[vnet.key])
    for place in everyone:
        if place.kind is Kind.RESOLVER:
            inside = tuple(
                Record(name=name, kind="A", values=(address,))
                for name, address in sorted(names.inside_cluster(snapshot, snapshot.need(place.owner)).items())
            )
            beyond = seen.get(place.vnet.key, public)
            yield View(
                key=keys.cluster_view(place.owner),
                owners=owners(snapshot, place),
                at=keys.endpoint(place),
                records=inside + beyond,
            )


def _public(snapshot: Snapshot) -> Records:
    """Every public name; that of a resource with a private endpoint is an alias of its private name, which is public, too."""
    everywhere = {**names.hosts(snapshot), **names.scoring(snapshot), **balancing.names(snapshot)}
    found = {name: Record(name=name, kind="A", values=(address,)) for name, address in everywhere.items()}
    for endpoint in private_link.endpoints(snapshot):
        if not private_link.approved(snapshot, endpoint):
            continue
        target = snapshot.need(private_link.target_of(endpoint))
        address = private_link.address(snapshot, target)
        for member in private_link.members(snapshot, endpoint):
            for host in member.hosts:
                if host.public != host.private and address is not None and not host.public.startswith("*."):
                    found[host.public] = Record(name=host.public, kind="CNAME", values=(host.private,))
                    found[host.private] = Record(name=host.private, kind="A", values=(address,))
    return tuple(found[name] for name in sorted(found))


def _linked(snapshot: Snapshot) -> Mapping[str, Sequence[tuple[Resource, bool]]]:
    """The zones linked to each network, and whether the public zone is asked for what they do not hold."""
    found: dict[str, list[tuple[Resource, bool]]] = {}
    for link in places.alive(snapshot, private_dns.LINK):
        zone = snapshot.get(link.id.parent)
        if zone is not None and zone.state is not ProvisioningState.DELETING:
            assert isinstance(link.properties, VirtualNetworkLink)
            found.setdefault(link.properties.virtual_network.key, []).append((zone, link.properties.redirects))
    return found


def _inside(snapshot: Snapshot, linked: Sequence[tuple[Resource, bool]], public: Records) -> Records:
    """The public names that no linked zone is the authority for, and what the zones hold."""
    if not linked:
        return public
    redirecting = {zone.id.name.lower(): redirects for zone, redirects in linked}
    held: list[Record] = []
    for zone, _ in linked:
        name = zone.id.name.lower()
        held += [record for record in _records(snapshot, zone) if _authority(record.name, redirecting) == name]
    known = {record.name for record in held}
    kept = []
    for record in public:
        authority = _authority(record.name, redirecting)
        if authority is None or (redirecting[authority] and record.name not in known):
            kept.append(record)
    return (*held, *kept)


def _authority(name: str, zones: Mapping[str, bool]) -> str | None:
    """The linked zone that a name is in: the one with the longest name."""
    rest = name.removeprefix("*.")
    while rest:
        if rest in zones:
            return rest
        rest = rest.partition(".")[2]
    return None


def _records(snapshot: Snapshot, zone: Resource) -> Iterator[Record]:
    for row in snapshot.children(zone.id):
        if private_dns.is_record_set(row.type) and row.state is not ProvisioningState.DELETING:
            assert isinstance(row.properties, RecordSet)
            values = private_dns.values(row.properties, private_dns.kind_of(row))
            if values:
                ttl = min(row.properties.ttl, _LONGEST_TTL)
                yield Record(name=private_dns.name_of(row.id), kind=private_dns.kind_of(row), values=values, ttl=ttl)
