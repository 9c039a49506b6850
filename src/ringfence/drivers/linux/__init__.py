"""One Linux machine as the place: namespaces, links, packet filters, names, and sandboxed processes."""
