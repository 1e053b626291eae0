"""Precision plans: which blocks of a core compute in float16; data in ``plans/``."""
