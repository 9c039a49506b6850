"""Who may sign in: the directory in the store, secrets and passwords, and the grants that tokens are given for.

`directory` writes applications, users and groups, `secrets` knows digests, `grants` keeps
device codes, authorization codes and refresh tokens, `loading` reads rows. What a
principal may do in Azure is not decided here.
"""

from ringfence.control.identities.directory import Identities
from ringfence.control.identities.grants import Grants
from ringfence.control.identities.secrets import Principal

__all__ = ["Grants", "Identities", "Principal"]
