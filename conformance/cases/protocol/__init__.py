"""Cases for the protocol page of the documentation."""
