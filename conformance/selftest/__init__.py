"""The suite tests itself: catalogue, targets, harness and command line."""
