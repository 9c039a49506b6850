"""Network security groups and their rules. Sources: RULES.md sections 2, 3 and 10, and Azure's answers quoted there.

Lists that hold tags, `*` or overlapping prefixes: azurerm#5617, data-safe-haven#2077, cloud-provider-azure#6775. How many
rules a group has is in `quotas`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from ringfence.model import errors, network
from ringfence.model.ids import ResourceId
from ringfence.model.network import Access, Direction, Protocol
from ringfence.policy import groups, rules, tags
from ringfence.policy.admission.case import Advice, Case, Finding, unsupported

_FIRST, _LAST = 100, 4096


def rule(case: Case) -> network.SecurityRule:
    assert isinstance(case.new.properties, network.SecurityRule)
    return case.new.properties


def group_is_enforceable(case: Case) -> Iterator[Finding]:
    """A changed rule holds for new connections; the switch that says otherwise has nothing behind it."""
    assert isinstance(case.new.properties, network.SecurityGroup)
    if case.new.properties.flush_connection:
        yield unsupported("rules on connections that exist already", "properties.flushConnection")


def parameters_are_complete(case: Case) -> Iterator[Finding]:
    """Each of the four has exactly one of its two fields."""
    for name, one, many in _fields(rule(case)):
        if one and many:
            yield errors.Invalid(
                "SecurityRuleParametersConflict",
                f"Security rule {case.new.id} must specify either {name}s or {name}, and has both.",
                target=f"properties.{_camel(name)}",
            )
        elif not one and not many:
            yield errors.Invalid(
                "SecurityRuleParametersMissing",
                f"Required security rule parameters are missing for security rule with Id: {case.new.id}. "
                f"Security rule must specify {name}s or {name}.",
                target=f"properties.{_camel(name)}",
            )


def _fields(written: network.SecurityRule) -> tuple[tuple[str, str | None, tuple[str, ...]], ...]:
    return (
        ("SourcePortRange", written.source_port_range, written.source_port_ranges),
        ("DestinationPortRange", written.destination_port_range, written.destination_port_ranges),
        (
            "SourceAddressPrefix",
            written.source_address_prefix or _stand_in(written.source_application_security_groups),
            written.source_address_prefixes,
        ),
        (
            "DestinationAddressPrefix",
            written.destination_address_prefix or _stand_in(written.destination_application_security_groups),
            written.destination_address_prefixes,
        ),
    )


def _stand_in(groups: tuple[object, ...]) -> str | None:
    """Application security groups take the place of a prefix; they are refused by another rule."""
    return "*" if groups else None


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def values_are_well_formed(case: Case) -> Iterator[Finding]:
    """Ports, prefixes and tags that mean something."""
    written = rule(case)
    for given, field in ((written.source_ports, "sourcePortRange"), (written.destination_ports, "destinationPortRange")):
        for text in given:
            yield from _refusal(rules.ports, text, field, case.new.id)
    for given, field in ((written.sources, "sourceAddressPrefix"), (written.destinations, "destinationAddressPrefix")):
        for text in given:
            yield from _refusal(_prefixes, text, field, case.new.id)


def _prefixes(texts: Iterable[str]) -> object:
    return rules.prefixes(texts, ())


def _refusal(meaning: Callable[[Iterable[str]], object], text: str, field: str, id: ResourceId) -> Iterator[Finding]:
    """What is wrong with a value, as the evaluator itself sees it."""
    try:
        meaning((text,))
    except errors.Problem as problem:
        message = f"{problem.message.rstrip('.')}. The rule is {id}."
        yield type(problem)(problem.code, message, target=f"properties.{field}")


def priority_is_in_range(case: Case) -> Iterator[Finding]:
    """100 to 4096 (RULES.md section 2.1)."""
    if not _FIRST <= rule(case).priority <= _LAST:
        yield errors.Invalid(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {rule(case).priority} Allowed range {_FIRST}-{_LAST}. The rule "
            f"is {case.new.id}; use a priority of that range.",
            target="properties.priority",
        )


def priority_is_free(case: Case) -> Iterator[Finding]:
    """Priority and direction together are unique in a group."""
    for sibling in case.snapshot.children(case.new.id.parent):
        other = sibling.properties
        if sibling.key == case.new.key or not isinstance(other, network.SecurityRule):
            continue
        if (other.priority, other.direction) == (rule(case).priority, rule(case).direction):
            yield errors.Invalid(
                "SecurityRuleConflict",
                f"Security rule {case.new.id.name} conflicts with rule {sibling.id.name}. Rules cannot have the same Priority "
                f"and Direction. To learn more, see aka.ms/nsgrules. {case.new.id} has {rule(case).priority} "
                f"{rule(case).direction.value}; use another priority.",
                target="properties.priority",
            )


def lists_hold_prefixes_only(case: Case) -> Iterator[Finding]:
    """A list of prefixes, be it of one, holds neither a tag nor `*`: these have their place in the singular (section 2.2)."""
    for name, given in _lists(case):
        wrong = next((text for text in given if text == "*" or tags.is_tag(text)), None)
        if wrong is not None:
            yield errors.Invalid(
                "SecurityRuleParameterContainsUnsupportedValue",
                f"Security rule parameter {name} for rule with Id {case.new.id} cannot specify existing VIRTUALNETWORK, "
                f"INTERNET, AZURELOADBALANCER, '*' or system tags. Unsupported value used: {wrong}. Give it alone, as "
                f"properties.{_camel(name)}; one rule takes one tag.",
                target=f"properties.{_camel(name)}es",
            )


def _lists(case: Case) -> tuple[tuple[str, tuple[str, ...]], ...]:
    written = rule(case)
    return (
        ("SourceAddressPrefix", written.source_address_prefixes),
        ("DestinationAddressPrefix", written.destination_address_prefixes),
    )


def lists_do_not_overlap(case: Case) -> Iterator[Finding]:
    """The prefixes of one list share no address; the same one twice shares all."""
    for name, given in _lists(case):
        texts = [text for text in given if text != "*" and not tags.is_tag(text)]
        ordered = sorted((IPv4Network(text), text) for text in texts)
        shared = next(((one, other) for one, other in itertools.pairwise(ordered) if one[0].overlaps(other[0])), None)
        if shared is not None:
            yield errors.Invalid(
                "OverlappingSubnetsNotPermittedInSecurityRule",
                f"Security rule parameter {name} for rule with Id {case.new.id} contains overlapping subnets "
                f"[{shared[0][1]}, {shared[1][1]}], which is not permitted. Leave out the smaller one.",
                target=f"properties.{_camel(name)}es",
            )


def lists_of_ports_are_ranges(case: Case) -> Iterator[Finding]:
    """`*` has its place in the singular, as a tag has."""
    for name, given in (
        ("SourcePortRange", rule(case).source_port_ranges),
        ("DestinationPortRange", rule(case).destination_port_ranges),
    ):
        if "*" in given:
            yield errors.Invalid(
                "SecurityRuleParameterContainsInvalidPortRanges",
                f"Security rule parameter {name}s for rule with Id {case.new.id} contains invalid port ranges: *. Give '*' "
                f"alone, as properties.{_camel(name)}.",
                target=f"properties.{_camel(name)}s",
            )


def platform_is_denied_only(case: Case) -> Iterator[Finding]:
    """Rules with a tag of the platform's addresses deny; without such a rule these are reachable (RULES.md section 2.8)."""
    written = rule(case)
    named = next((t for t in (*written.sources, *written.destinations) if t.lower() in tags.PLATFORM_TAGS), None)
    if named is not None and written.access is Access.ALLOW:
        yield errors.Invalid(
            "SecurityRuleInvalidAccessType",
            f"Security rule has invalid Access type. Value provided: Allow Allowed values: Deny. The service tag {named} of "
            f"{case.new.id} is for rules that deny; leave the rule out: platform addresses are reachable without it.",
            target="properties.access",
        )


def ports_fit_the_protocol(case: Case) -> Iterator[Finding]:
    """Icmp, Esp and Ah have no ports."""
    written = rule(case)
    if written.protocol not in (Protocol.ICMP, Protocol.ESP, Protocol.AH):
        return
    if rules.ports(written.source_ports) or rules.ports(written.destination_ports):
        yield errors.Invalid(
            "SecurityRuleInvalidPortRange",
            f"Security rule {case.new.id} has the protocol {written.protocol.value}, which has no ports. "
            "Use '*' for both ranges.",
            target="properties.destinationPortRange",
        )


def rule_is_enforceable(case: Case) -> Iterator[Finding]:
    """What has nothing behind it here, and the length of a description."""
    written = rule(case)
    if written.source_application_security_groups or written.destination_application_security_groups:
        yield unsupported("application security groups", "properties", "Use address prefixes.")
    if written.description is not None and len(written.description) > 140:
        length = len(written.description)
        message = f"The description of security rule {case.new.id} has {length} characters; 140 are allowed. Shorten it."
        yield errors.Invalid("InvalidRequestFormat", message, target="properties.description")


def probes_still_come_in(case: Case) -> Iterator[Finding]:
    """RULES.md section 2.9: a Deny before the default rules stops health probes, and with them every load balancer behind."""
    if rule(case).access is Access.ALLOW or rule(case).direction is Direction.OUTBOUND:
        return
    probe = rules.Packet(tags.PLATFORM[0], IPv4Address("10.0.0.4"), Protocol.TCP, destination_port=80)
    decided = rules.decide(groups.written(case.snapshot, case.new.id.parent.key, ()).rules.inbound, probe)
    if decided.rule is not None and decided.rule.name == case.new.id.name and not decided.allow:
        yield Advice(
            f"Security rule {case.new.id.name} stops the health probes of load balancers (168.63.129.16): machines behind one "
            "will count as unhealthy. Allow the service tag AzureLoadBalancer at a lower priority number."
        )


GROUP_RULES = (group_is_enforceable,)
RULE_SHAPE = (parameters_are_complete, platform_is_denied_only, values_are_well_formed)
RULE_RULES = (
    priority_is_in_range,
    priority_is_free,
    lists_hold_prefixes_only,
    lists_do_not_overlap,
    lists_of_ports_are_ranges,
    ports_fit_the_protocol,
    rule_is_enforceable,
    probes_still_come_in,
)
