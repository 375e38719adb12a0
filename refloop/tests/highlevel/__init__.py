"""The high-level namespace: synchronisation, queues, waiting, timeouts, task groups, call graph, streams."""
