"""Proof that a package's bytes do not depend on the machine: ``python -m repro``, which ``just repro`` runs.

A *subject*, packages of a model, is converted under reference conditions and again under each variation of
``variations.toml``, and compared byte by byte. Each variation has a *control*: a toy whose bytes depend on exactly what
is varied. A variation under which its toy's bytes stay the same shows nothing, and fails.
"""
