# The corpus: twelve songs with true stems as FLAC, rendered and compared with the lock; the same bytes on every machine.
#
# Not among the flake's checks: it takes minutes and gigabytes.
{ pinned, sources }:
pinned {
  name = "songs";
  artefact = "songs";
  # It holds the digest of every file.
  compared = "$result/manifest.json";
  pythonPath = sources.songs;
  command = ''
    python -m htdemucs_coreml.songs render --output "$result"
  '';
}
