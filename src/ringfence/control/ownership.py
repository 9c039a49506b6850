"""State folders in which computes own the nodes of their clusters: brought to clusters that own them themselves.

Until clusters became resources of their own, a compute held the addresses of nodes, resolver
and API server, and the pool stood in the cluster's row. `move` moves what they hold, every
address unchanged; it is one of `migrations`, and like them speaks of tables as they were.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

log = logging.getLogger(__name__)

_RESOURCES = sa.table(
    "resources",
    *(sa.column(name) for name in ("key", "id", "location", "managed_by", "state", "etag", "created_at", "changed_at")),
    *(sa.column(name, sa.JSON) for name in ("properties", "tags", "envelope")),
)
_ALLOCATIONS = sa.table("allocations", *(sa.column(name) for name in ("owner", "purpose", "scope", "value")))
_OPERATIONS = sa.table("operations", sa.column("id"), sa.column("status"), sa.column("covers", sa.JSON))

_CLUSTER = "/providers/microsoft.containerservice/managedclusters/"
_POOL = ("agentPools", "agentpool")
#: What a cluster owns beside its nodes, by the purpose of the allocation.
_OF_CLUSTER = ("pod-dns", "api-server")


def move(connection: sa.Connection) -> None:
    """In the caller's transaction."""
    rows = _RESOURCES
    found = connection.execute(sa.select(rows).where(rows.c.managed_by.is_not(None), rows.c.key.contains(_CLUSTER))).all()
    old = [row for row in found if "agentPoolProfiles" in row.properties]
    for row in old:
        _move(connection, row)
    if old:
        log.info("moved the nodes of %d clusters from their computes to the clusters", len(old))


def _move(connection: sa.Connection, cluster: sa.Row[Any]) -> None:
    rows, compute = _RESOURCES, cluster.managed_by
    pool = f"{cluster.key}/{_POOL[0].lower()}/{_POOL[1]}"
    asked = cluster.properties["agentPoolProfiles"][0]
    kept = {name: value for name, value in cluster.properties.items() if name not in ("agentPoolProfiles", "fqdn")}
    envelope = {**cluster.envelope, "identity": {"type": "SystemAssigned"}}
    connection.execute(rows.update().where(rows.c.key == cluster.key).values(properties=kept, envelope=envelope))
    connection.execute(rows.insert().values(**_pool_row(cluster, pool, asked)))
    others = (rows.c.managed_by == compute) & (rows.c.key != cluster.key)
    connection.execute(rows.update().where(others).values(managed_by=cluster.key))
    _allocations(connection, compute, cluster.key, pool)
    _operations(connection, cluster.key, pool)


def _pool_row(cluster: sa.Row[Any], key: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "key": key,
        "id": f"{cluster.id}/{_POOL[0]}/{_POOL[1]}",
        "location": None,
        "properties": {name: asked[name] for name in ("count", "vmSize", "vnetSubnetID") if name in asked},
        "tags": {},
        "envelope": {},
        "managed_by": None,
        "state": cluster.state,
        "etag": cluster.etag,
        "created_at": cluster.created_at,
        "changed_at": cluster.changed_at,
    }


def _allocations(connection: sa.Connection, compute: str, cluster: str, pool: str) -> None:
    held = _ALLOCATIONS
    mine = held.c.owner == compute
    connection.execute(held.update().where(mine, held.c.purpose.startswith("node")).values(owner=pool))
    connection.execute(held.update().where(mine, held.c.purpose.in_(_OF_CLUSTER)).values(owner=cluster))
    for scope in ("pods", "service-range"):
        connection.execute(held.update().where(held.c.scope == f"{scope}/{compute}").values(scope=f"{scope}/{cluster}"))


def _operations(connection: sa.Connection, cluster: str, pool: str) -> None:
    """What is still under way waits for the pool as well."""
    table = _OPERATIONS
    waiting: Iterable[Any] = connection.execute(sa.select(table.c.id, table.c.covers).where(table.c.status == "InProgress")).all()
    for row in waiting:
        if cluster in row.covers:
            covers = sorted({*row.covers, pool})
            connection.execute(table.update().where(table.c.id == row.id).values(covers=covers))
