"""The consequence: from a snapshot of resources to the state that drivers make true, and the difference to what is.

`state` is the contract with drivers and imports nothing of ours; `alloc` gives out addresses at
the time of acceptance; `build` derives; `diff` compares.
"""
