# What the document takes for granted: resource groups, an existing virtual network with its subnets, a workspace.
az group create -n myresourcegroup -l eastus2 -o none
az group create -n mygroup -l eastus2 -o none
az group create -n myvnetresourcegroup -l eastus2 -o none
az network nsg create -g mygroup -n mynetwork-nsg -o none
az network vnet create -g mygroup -n mynetwork --address-prefixes 10.1.0.0/16 --subnet-name default --subnet-prefixes 10.1.0.0/22 --network-security-group mynetwork-nsg -o none
az network vnet subnet create -g mygroup --vnet-name mynetwork -n mysubnet --address-prefixes 10.1.4.0/24 -o none
az network vnet create -g myvnetresourcegroup -n myvnetname --address-prefixes 10.2.0.0/16 --subnet-name default --subnet-prefixes 10.2.0.0/22 -o none
for name in myworkspace myotherworkspace mythirdworkspace; do
  az rest --method put -o none --body '{"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}}' \
    --url "/subscriptions/{subscriptionId}/resourceGroups/myresourcegroup/providers/Microsoft.MachineLearningServices/workspaces/$name?api-version=2022-05-01"
done
