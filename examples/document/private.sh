# "Private AKS cluster": made with AKS, then attached; its API server is reached from the virtual network only.
az network vnet subnet create -g mygroup --vnet-name mynetwork -n private --address-prefixes 10.1.8.0/22 -o none
az aks create -g mygroup -n myprivate --enable-private-cluster --disable-public-fqdn --network-plugin azure --node-count 3 --node-vm-size Standard_D3_v2 \
  --vnet-subnet-id "$(az network vnet subnet show -g mygroup --vnet-name mynetwork -n private --query id -o tsv)" \
  --service-cidr 10.0.0.0/16 --dns-service-ip 10.0.0.10 --no-ssh-key --query "{fqdn: fqdn, privateFqdn: privateFqdn, state: provisioningState}"
az ml computetarget attach aks -n myprivate -i "$(az aks show -g mygroup -n myprivate --query id -o tsv)" \
  -w myworkspace -g myresourcegroup --query properties.provisioningState
az ml computetarget update aks -n myprivate -w myworkspace -g myresourcegroup --load-balancer-type InternalLoadBalancer \
  --load-balancer-subnet private --query "properties.properties.systemServices[0].publicIpAddress"
