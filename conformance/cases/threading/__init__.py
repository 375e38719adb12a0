"""Cases for the threading page of the documentation."""
