"""The arguments of the commands: the spelling of Azure's reference `az ml computetarget` (version 1), with its defaults.

What a command does with them is in `commands`.
"""

from __future__ import annotations

from typing import Any

from azure.cli.core.commands.parameters import get_enum_type, get_location_type, resource_group_name_type

BALANCERS = ("PublicIp", "InternalLoadBalancer")
PURPOSES = ("FastProd", "DevTest")

_GROUP = "ml computetarget"


def load(loader: Any) -> None:
    """Declare everything, for whatever command was asked."""
    with loader.argument_context(_GROUP) as found:
        found.argument("name", options_list=["--name", "-n"], help="Name of the compute target.")
        found.argument(
            "workspace_name",
            options_list=["--workspace-name", "-w"],
            help="Name of the workspace. Without it: the workspace of a config.json in --path, else the configured default "
            "(`az configure --defaults workspace=NAME`), else the only one there is.",
        )
        found.argument("resource_group_name", resource_group_name_type, required=False, help="Resource group of the workspace.")
        found.argument("subscription_id", help="Subscription of the workspace. Default: the one `az account show` names.")
        found.argument("path", help="Folder with a config.json that names a workspace. Default: the current folder.")
        found.argument("verbosity", options_list=["-v"], action="store_true", help="Accepted for old scripts. Use --verbose.")
    for command in ("create aks", "attach aks", "update aks"):
        with loader.argument_context(f"{_GROUP} {command}") as found:
            _balancer(found)
            _ssl(found)
    for command in ("create aks", "attach aks"):
        with loader.argument_context(f"{_GROUP} {command}") as found:
            found.argument(
                "cluster_purpose",
                arg_type=get_enum_type(PURPOSES),
                help="FastProd wants at least 3 nodes and 12 cores, DevTest is content with one node. Default: FastProd.",
            )
    with loader.argument_context(f"{_GROUP} attach aks") as found:
        found.argument("compute_resource_id", options_list=["--compute-resource-id", "-i"], help="Resource id of the cluster.")
    with loader.argument_context(f"{_GROUP} update aks") as found:
        found.argument("ssl_disable", action="store_true", help="Stop using TLS on the scoring endpoint.")
        found.argument("ssl_renew", action="store_true", help="Renew the certificate of a leaf domain label.")
    _cluster(loader)


def _balancer(found: Any) -> None:
    found.argument(
        "load_balancer_type",
        arg_type=get_enum_type(BALANCERS),
        help="Whether the scoring endpoint has a public address or one in the virtual network.",
    )
    found.argument("load_balancer_subnet", help="Subnet of the internal load balancer. Default: the subnet of the nodes.")


def _ssl(found: Any) -> None:
    found.argument("ssl_cname", help="Host name that the certificate is for. Goes with the two files.")
    found.argument("ssl_cert_file", help="PEM file with the certificate and its chain.")
    found.argument("ssl_key_file", help="PEM file with the certificate's private key.")
    found.argument("ssl_leaf_domain_label", help="Label of a generated name with a certificate of its own, instead of the above.")
    found.argument("ssl_overwrite_domain", action="store_true", help="Take the label's name even if another cluster has it.")


def _cluster(loader: Any) -> None:
    with loader.argument_context(f"{_GROUP} create aks") as found:
        found.argument("agent_count", options_list=["--agent-count", "-a"], type=int, help="Number of nodes. Default: 3.")
        found.argument("vm_size", options_list=["--vm-size", "-s"], help="Size of the nodes. Default: Standard_D3_v2.")
        found.argument(
            "location", get_location_type(loader.cli_ctx), required=False, help="Region. Default: that of the workspace."
        )
        found.argument("service_cidr", help="Range of the cluster's services, which no subnet may overlap. Default: 10.0.0.0/16.")
        found.argument("dns_service_ip", help="Address of the cluster's DNS service, inside that range. Default: 10.0.0.10.")
        found.argument("docker_bridge_cidr", help="Address and range of the Docker bridge. Default: 172.17.0.1/16.")
        found.argument("vnet_resourcegroup_name", help="Resource group of the virtual network.")
        found.argument("vnet_name", help="An existing virtual network for the nodes. Goes with the two beside it.")
        found.argument("subnet_name", help="The subnet for the nodes.")
