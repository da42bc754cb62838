"""What earlier queries found, kept for later ones."""
