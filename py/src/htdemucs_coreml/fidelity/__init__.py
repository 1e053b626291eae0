"""What precision costs, measured: derivation of the plan `mixed`, and the comparison of variants with PyTorch."""
