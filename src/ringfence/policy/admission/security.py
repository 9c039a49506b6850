"""Network security groups and their rules. Sources: RULES.md sections 2, 3 and 10, and Azure's answers quoted there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address

from ringfence.model import errors, network
from ringfence.model.network import Access, Direction, Protocol
from ringfence.policy import groups, rules, tags
from ringfence.policy.admission.case import Advice, Case, Finding, unsupported

_MOST_RULES = 1000
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
            yield from _refusal(rules.ports, text, field)
    for given, field in ((written.sources, "sourceAddressPrefix"), (written.destinations, "destinationAddressPrefix")):
        for text in given:
            yield from _refusal(_prefixes, text, field)


def _prefixes(texts: Iterable[str]) -> object:
    return rules.prefixes(texts, ())


def _refusal(meaning: Callable[[Iterable[str]], object], text: str, field: str) -> Iterator[Finding]:
    """What is wrong with a value, as the evaluator itself sees it."""
    try:
        meaning((text,))
    except errors.Problem as problem:
        yield type(problem)(problem.code, problem.message, target=f"properties.{field}")


def priority_is_in_range(case: Case) -> Iterator[Finding]:
    """100 to 4096 (RULES.md section 2.1)."""
    if not _FIRST <= rule(case).priority <= _LAST:
        yield errors.Invalid(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {rule(case).priority} Allowed range {_FIRST}-{_LAST}.",
            target="properties.priority",
        )


def priority_is_free(case: Case) -> Iterator[Finding]:
    """Priority and direction together are unique in a group."""
    siblings = case.snapshot.children(case.new.id.parent)
    for sibling in siblings:
        other = sibling.properties
        if sibling.key == case.new.key or not isinstance(other, network.SecurityRule):
            continue
        if (other.priority, other.direction) == (rule(case).priority, rule(case).direction):
            yield errors.Invalid(
                "SecurityRuleConflict",
                f"Security rule {case.new.id.name} conflicts with rule {sibling.id.name}. Rules cannot have the same Priority "
                "and Direction. To learn more, see aka.ms/nsgrules.",
                target="properties.priority",
            )
    if len(siblings) > _MOST_RULES:
        message = f"The network security group '{case.new.id.parent.name}' would have more than {_MOST_RULES} rules."
        yield errors.Invalid("SecurityRuleCountLimitReached", message, target=str(case.new.id.parent))


def lists_hold_prefixes_only(case: Case) -> Iterator[Finding]:
    """A list of several prefixes holds neither a tag nor `*` (RULES.md section 2.2)."""
    for name, given in (("SourceAddressPrefix", rule(case).sources), ("DestinationAddressPrefix", rule(case).destinations)):
        wrong = next((text for text in given if text == "*" or tags.is_tag(text)), None)
        if len(given) > 1 and wrong is not None:
            yield errors.Invalid(
                "SecurityRuleParameterContainsUnsupportedValue",
                f"Security rule parameter {name} for rule with Id {case.new.id} cannot specify existing VIRTUALNETWORK, "
                f"INTERNET, AZURELOADBALANCER, '*' or system tags. Unsupported value used: {wrong}.",
                target=f"properties.{_camel(name)}es",
            )


def ports_fit_the_protocol(case: Case) -> Iterator[Finding]:
    """Icmp, Esp and Ah have no ports."""
    written = rule(case)
    if written.protocol not in (Protocol.ICMP, Protocol.ESP, Protocol.AH):
        return
    if rules.ports(written.source_ports) or rules.ports(written.destination_ports):
        yield errors.Invalid(
            "SecurityRuleInvalidPortRange",
            f"Security rule {case.new.id.name} has the protocol {written.protocol.value}, which has no ports. "
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
        message = f"The description of security rule {case.new.id.name} has {length} characters; 140 are allowed."
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
RULE_SHAPE = (parameters_are_complete, values_are_well_formed)
RULE_RULES = (
    priority_is_in_range,
    priority_is_free,
    lists_hold_prefixes_only,
    ports_fit_the_protocol,
    rule_is_enforceable,
    probes_still_come_in,
)
