"""Stems beside references on one page: scores, charts, spectrograms, players, a blind test (docs/listening.md)."""
