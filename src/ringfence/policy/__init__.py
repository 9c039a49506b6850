"""The rules, pure: who is where, what a security group decides, who reaches whom, and what is refused.

`desired` compiles what is computed here, so that proof and enforcement have one source.
"""
