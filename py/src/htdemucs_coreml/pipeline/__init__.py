"""From samples to stems: chunk plans, overlap-add, separation."""
