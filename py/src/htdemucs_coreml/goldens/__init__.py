"""Goldens: reference arrays in files, which Python's and Swift's tests read alike.

``goldens/README.md`` describes the format; `manifest` is its index, `reading` and `writing` handle folders, and
`comparison` names the first golden in which two folders differ.
"""
