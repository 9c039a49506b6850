"""The local API on a unix socket, for the command line: status, locations, logs, counters."""
