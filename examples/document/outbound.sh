# "Limit outbound connectivity": no default outbound rule towards the internet any more; $1 = open: what the document asks for.
deny() {
  az network nsg rule create -g mygroup --nsg-name mynetwork-nsg -n AllowNetwork --priority 3900 --direction Outbound --access Allow \
    --protocol '*' --source-address-prefixes VirtualNetwork --destination-address-prefixes VirtualNetwork --destination-port-ranges '*' -o none
  az network nsg rule create -g mygroup --nsg-name mynetwork-nsg -n DenyAllOutbound --priority 4000 --direction Outbound --access Deny \
    --protocol '*' --source-address-prefixes '*' --destination-address-prefixes '*' --destination-port-ranges '*' -o none
}
allow() {
  az network nsg rule create -g mygroup --nsg-name mynetwork-nsg -n AllowRegistry --priority 300 --direction Outbound --access Allow \
    --protocol Tcp --source-address-prefixes '*' --destination-address-prefixes "$1" --destination-port-ranges 443 -o none
}
if [ "$1" = open ]; then allow AzureContainerRegistry.eastus2; else deny; fi
