"""Azure's built-in roles, as Microsoft documents them: one file for each category of that documentation.

Names and lists are facts of Azure (MicrosoftDocs/azure-docs, role-based-access-control/built-in-roles);
what they mean is decided in `policy.access`. A role that is not here cannot be assigned.
"""

from __future__ import annotations
