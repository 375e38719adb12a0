"""The suite proper: one folder per documentation page, one module per API family."""
