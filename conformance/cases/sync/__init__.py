"""Cases of the page "Synchronization Primitives"."""
