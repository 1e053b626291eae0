# The demonstration: the fixture package checked against the lock, and a song of its own separated through it.
{
  lib,
  writeShellApplication,
  htdemucs-coreml,
  mlpackages,
}:
let
  goldens = builtins.path {
    name = "lock-and-contents";
    path = ../goldens;
    filter =
      path: _:
      lib.elem (baseNameOf path) [
        "lock.json"
        "contents"
      ]
      || baseNameOf (dirOf path) == "contents";
  };
in
writeShellApplication {
  name = "htdemucs-coreml-demo";
  text = ''
    exec ${htdemucs-coreml.environment}/bin/python -I -m htdemucs_coreml.demo \
      --package ${mlpackages.fixture.float32} --lock ${goldens}/lock.json "$@"
  '';
}
