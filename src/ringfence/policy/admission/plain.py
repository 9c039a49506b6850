"""Resources that a workspace refers to: storage accounts, vaults, registries, Application Insights.

They are kept, not run; what would close them to some networks is refused, because nothing here would close them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from ringfence.model import access, registry, storage
from ringfence.policy.admission.case import Case, Finding, unsupported


def is_open(case: Case) -> Iterator[Finding]:
    """No rules of networks on the resource itself."""
    match case.new.properties:
        case storage.StorageAccount() as account:
            yield from _judged(account.network_acls, account.public_network_access, "networkAcls")
            if account.is_hns_enabled:
                yield unsupported("hierarchical namespaces", "properties.isHnsEnabled")
        case access.Vault() as vault:
            yield from _judged(vault.network_acls, vault.public_network_access, "networkAcls")
        case registry.Registry() as images:
            yield from _judged(images.network_rule_set, images.public_network_access, "networkRuleSet")


def _judged(rules: JsonValue, public: str | None, field: str) -> Iterator[Finding]:
    if isinstance(rules, dict):
        action = str(rules.get("defaultAction", "Allow"))
        lists = [value for name, value in rules.items() if name not in ("defaultAction", "bypass")]
        if action.lower() != "allow" or any(lists):
            yield unsupported("network rules on this resource", f"properties.{field}")
    if public is not None and public.lower() != "enabled":
        yield unsupported("a resource without public network access", "properties.publicNetworkAccess", "Use Enabled.")


RULES = (is_open,)
