"""Cases for the subprocess page of the documentation."""
