# "Network contributor role", its four steps. $1: cluster, $2: the group it is in, $3: the group of the virtual network.
az aks show -n "$1" --resource-group "$2" --query servicePrincipalProfile.clientId -o tsv >client
if [ "$(cat client)" = msi ]; then
  az aks show -n "$1" --resource-group "$2" --query identity.principalId -o tsv >client
fi
az group show -n "$3" --query id -o tsv >group
az role assignment create --assignee "$(cat client)" --role 'Network Contributor' --scope "$(cat group)" --query "{role: roleDefinitionId, principal: principalId, scope: scope}" -o json
