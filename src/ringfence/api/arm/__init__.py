"""Azure Resource Manager's face: generic handlers over a registry with one row per resource type."""
