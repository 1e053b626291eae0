"""Weights: files of tensors, read strictly."""
