"""Print the primary key of the main job's service; run by the official SDK's Python, given the path of admin.json."""

import json
import sys

from azureml.core import Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.core.webservice import AksWebservice

with open(sys.argv[1]) as file:
    admin = json.load(file)
auth = ServicePrincipalAuthentication(admin["tenantId"], admin["clientId"], admin["clientSecret"])
ws = Workspace.get("myworkspace", auth=auth, subscription_id=admin["subscriptionId"], resource_group="myresourcegroup")
print(AksWebservice(ws, "diabetes").get_keys()[0])
