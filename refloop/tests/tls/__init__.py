"""TLS connections against plain blocking TLS sockets, raw sockets and hostile ones."""
