"""Cases for the stream page of the documentation."""
