"""Cases for the dev page of the documentation."""
