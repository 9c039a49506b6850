# "Enable private load balancer", the document's two commands, as they stand there.
az configure --defaults workspace=mythirdworkspace group=myresourcegroup
az ml computetarget create aks -n myaks --load-balancer-type InternalLoadBalancer

az configure --defaults workspace= group=
az ml computetarget update aks \
                           -n myaks \
                           --load-balancer-subnet mysubnet \
                           --load-balancer-type InternalLoadBalancer \
                           --workspace-name myworkspace \
                           -g myresourcegroup
