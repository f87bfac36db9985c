"""What the measures are made of: estimators, codes and geometry, written for arrays."""
