"""ARM templates, as thought: what a template asks for, in which order, once its expressions are worked out.

`expressions` reads the language between brackets, `functions` is what it can say, `planning`
turns a template into resources and their order. Pure: running a deployment is `control.deployer`.
"""
