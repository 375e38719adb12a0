"""Cases for the task page of the documentation."""
