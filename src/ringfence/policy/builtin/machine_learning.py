"""Roles for machine learning (Azure's category AI + machine learning)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

ROLES = (
    role(
        "f6c7c914-8db3-469d-8ca1-694a8f32e121",
        "AzureML Data Scientist",
        "Can perform all actions within an Azure Machine Learning workspace, except for creating or deleting compute resources "
        "and modifying the workspace itself.",
        """
        Microsoft.MachineLearningServices/workspaces/*/read
        Microsoft.MachineLearningServices/workspaces/*/action
        Microsoft.MachineLearningServices/workspaces/*/delete
        Microsoft.MachineLearningServices/workspaces/*/write
        """,
        excepted="""
        Microsoft.MachineLearningServices/workspaces/delete
        Microsoft.MachineLearningServices/workspaces/write
        Microsoft.MachineLearningServices/workspaces/computes/*/write
        Microsoft.MachineLearningServices/workspaces/computes/*/delete
        Microsoft.MachineLearningServices/workspaces/computes/listKeys/action
        Microsoft.MachineLearningServices/workspaces/listKeys/action
        Microsoft.MachineLearningServices/workspaces/hubs/write
        Microsoft.MachineLearningServices/workspaces/hubs/delete
        Microsoft.MachineLearningServices/workspaces/featurestores/write
        Microsoft.MachineLearningServices/workspaces/featurestores/delete
        """,
    ),
    role(
        "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815",
        "AzureML Compute Operator",
        "Can access and perform CRUD operations on Machine Learning Services managed compute resources (including Notebook VMs).",
        """
        Microsoft.MachineLearningServices/workspaces/computes/*
        Microsoft.MachineLearningServices/workspaces/notebooks/vm/*
        """,
    ),
    role(
        "635dd51f-9968-44d3-b7fb-6d9a6bd613ae",
        "AzureML Metrics Writer (preview)",
        "Lets you write metrics to AzureML workspace",
        "Microsoft.MachineLearningServices/workspaces/metrics/*/write",
    ),
    role(
        "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
        "AzureML Registry User",
        "Can perform all actions on Machine Learning Services Registry assets as well as get Registry resources.",
        """
        Microsoft.MachineLearningServices/registries/read
        Microsoft.MachineLearningServices/registries/assets/*
        """,
    ),
)
