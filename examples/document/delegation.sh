# "Enable Azure Container Instances": a virtual network in the workspace's group, with a subnet delegated afterwards.
az network vnet create -g myresourcegroup -n myacinetwork --address-prefixes 10.3.0.0/16 --subnet-name containers --subnet-prefixes 10.3.0.0/24 -o none
az network vnet subnet update -g myresourcegroup --vnet-name myacinetwork -n containers --delegations Microsoft.ContainerInstance/containerGroups --query "delegations[0].serviceName"
az network vnet subnet create -g myresourcegroup --vnet-name myacinetwork -n jump --address-prefixes 10.3.1.0/24 -o none
