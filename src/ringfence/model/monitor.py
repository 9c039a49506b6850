"""Microsoft.Insights components: the plain resource a workspace refers to. No telemetry is kept in it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ringfence.model.resource import Properties

COMPONENT = "microsoft.insights/components"


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
