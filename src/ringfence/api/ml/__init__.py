"""The machine learning data plane, version 1: what `azureml-core` talks to besides Resource Manager.

`app` lets requests in and sends them to the noun they are about; one file per noun. The
contract with clients (paths, must-have fields) is the official SDK's own code.
"""
