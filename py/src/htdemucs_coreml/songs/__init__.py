"""Songs with true stems, composed and rendered from recipes: the same bytes on every machine."""
