# "Make sure that the NSG has an inbound security rule for the IP address of the scoring endpoint." $1: its address.
az network nsg rule create -g mygroup --nsg-name mynetwork-nsg -n scoring --priority 200 --direction Inbound --access Allow \
  --protocol Tcp --source-address-prefixes Internet --destination-address-prefixes "$1" --destination-port-ranges 80 -o none
