"""Microsoft.Insights components and the Log Analytics workspaces below them: plain resources. No telemetry is kept in them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue

from ringfence.model.resource import Properties

COMPONENT = "microsoft.insights/components"
LOG_WORKSPACE = "microsoft.operationalinsights/workspaces"


class Component(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "AppId",
            "ApplicationId",
            "ConnectionString",
            "CreationDate",
            "InstrumentationKey",
            "Name",
            "TenantId",
            "HockeyAppToken",
            "LaMigrationDate",
            "PrivateLinkScopedResources",
        }
    )

    application_type: str = Field(default="web", alias="Application_Type")
    flow_type: str | None = Field(default=None, alias="Flow_Type")
    request_source: str | None = Field(default=None, alias="Request_Source")
    retention_in_days: int | None = Field(default=None, alias="RetentionInDays")
    sampling_percentage: float | None = Field(default=None, alias="SamplingPercentage")
    disable_ip_masking: bool | None = Field(default=None, alias="DisableIpMasking")
    disable_local_auth: bool | None = Field(default=None, alias="DisableLocalAuth")
    ingestion_mode: str | None = Field(default=None, alias="IngestionMode")
    workspace_resource_id: str | None = Field(default=None, alias="WorkspaceResourceId")
    public_network_access_for_ingestion: str | None = None
    public_network_access_for_query: str | None = None


class LogWorkspace(Properties):
    """A Log Analytics workspace."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "customerId", "createdDate", "modifiedDate"})

    sku: JsonValue = None
    features: JsonValue = None
    workspace_capping: JsonValue = None
    retention_in_days: int = 30
    public_network_access_for_ingestion: str | None = None
    public_network_access_for_query: str | None = None
