"""Call the deployed service with the SDK, as a data scientist inside the virtual network does.

    ringfence exec --at mynetwork/default -- python inside.py SUBSCRIPTION GROUP WORKSPACE SERVICE

`service.run` reads the keys from the control plane and posts to the scoring URI, both from here.
"""

import json
import sys

from ask import ROW
from azureml.core import Workspace
from azureml.core.webservice import AksWebservice

subscription, group, workspace, service = sys.argv[1:5]
ws = Workspace.get(name=workspace, subscription_id=subscription, resource_group=group)
print(json.dumps(AksWebservice(ws, service).run(json.dumps({"data": [ROW]}))))
