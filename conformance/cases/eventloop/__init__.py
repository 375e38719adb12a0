"""Cases for the eventloop page of the documentation."""
