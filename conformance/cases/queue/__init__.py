"""Cases of the page "Queues"."""
