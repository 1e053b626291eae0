"""Audio files and resampling."""
