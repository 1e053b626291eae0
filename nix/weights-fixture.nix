# Weights of the fixture model: integer arithmetic, the same bytes on every platform.
{ pinned }:
pinned {
  name = "fixture.safetensors";
  artefact = "weights.fixture";
  command = ''python -m htdemucs_coreml.weights.fixture "$result"'';
}
