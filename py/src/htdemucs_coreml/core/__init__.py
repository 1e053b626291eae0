"""The core: the network between STFT and iSTFT."""
