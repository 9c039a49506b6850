"""The kernel's own calls: namespaces, mounts, rtnetlink, libnftables, by ctypes and raw sockets.

The lowest room: it imports nothing of ours and knows neither networks nor models, only
system calls. The only place that may import ctypes.
"""
