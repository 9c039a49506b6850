"""The host's way in without namespaces: a proxy whose connections start at a location.

HTTP CONNECT, plain HTTP in absolute form, and SOCKS5, on the loopback port that the
broker opened before the sandbox existed. The user name is the location, the password
the secret of this start: `http://mynetwork%2Fdefault:SECRET@127.0.0.1:PORT`.
`exits` decides and dials; `http` and `socks` speak; `listener` accepts.
"""

from ringfence.api.proxy.exits import Exit, Place, Refusal
from ringfence.api.proxy.listener import start

__all__ = ["Exit", "Place", "Refusal", "start"]
