"""Cases for the call graph page of the documentation."""
