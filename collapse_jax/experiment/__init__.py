"""What is asked for: the typed config and all that follows from it without jax."""
