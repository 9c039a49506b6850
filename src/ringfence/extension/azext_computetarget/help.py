"""The texts of `az ml computetarget … --help`."""

from __future__ import annotations

from knack.help_files import helps

_GROUPS = {
    "ml": "Manage Azure Machine Learning (version 1).",
    "ml computetarget": "Manage the compute targets of a workspace.",
    "ml computetarget create": "Create a compute target.",
    "ml computetarget attach": "Attach an existing cluster to a workspace.",
    "ml computetarget update": "Update a compute target.",
}
_COMMANDS = {
    "ml computetarget create aks": (
        "Create an AKS cluster as a compute target.",
        "A cluster with an internal load balancer in an existing virtual network",
        "az ml computetarget create aks -n myaks -w myworkspace -g myresourcegroup --load-balancer-type InternalLoadBalancer "
        "--vnet-resourcegroup-name mygroup --vnet-name mynetwork --subnet-name default --load-balancer-subnet default",
    ),
    "ml computetarget attach aks": (
        "Attach an existing AKS cluster as a compute target.",
        "A cluster that `az aks create` made",
        "az ml computetarget attach aks -n myaks -i $(az aks show -n mycluster -g mygroup --query id -o tsv) "
        "-w myworkspace -g myresourcegroup",
    ),
    "ml computetarget update aks": (
        "Change the load balancer or the certificate of an AKS compute target.",
        "Move the scoring endpoint to an address of the virtual network",
        "az ml computetarget update aks -n myaks --load-balancer-type InternalLoadBalancer --load-balancer-subnet mysubnet "
        "-w myworkspace -g myresourcegroup",
    ),
    "ml computetarget show": (
        "Show a compute target.",
        "",
        "az ml computetarget show -n myaks -w myworkspace -g myresourcegroup",
    ),
    "ml computetarget list": (
        "List the compute targets of a workspace.",
        "",
        "az ml computetarget list -w myworkspace -g myresourcegroup",
    ),
    "ml computetarget delete": (
        "Delete a compute target together with its cluster.",
        "",
        "az ml computetarget delete -n myaks -w myworkspace -g myresourcegroup",
    ),
    "ml computetarget detach": (
        "Take a cluster out of the workspace; the cluster stays.",
        "",
        "az ml computetarget detach -n myaks -w myworkspace -g myresourcegroup",
    ),
    "ml computetarget get-credentials": (
        "Show the kubeconfigs of an AKS compute target, base64-encoded.",
        "",
        "az ml computetarget get-credentials -n myaks -w myworkspace -g myresourcegroup",
    ),
}

for _name, _text in _GROUPS.items():
    helps[_name] = f"type: group\nshort-summary: {_text}\n"
for _name, (_text, _title, _line) in _COMMANDS.items():
    helps[_name] = (
        f"type: command\nshort-summary: {_text}\nexamples:\n  - name: {_title or _text.removesuffix('.')}\n    text: {_line}\n"
    )
