# Packages with short segments, for tests in Swift; they are in no registry and not in the lock.
{
  lib,
  runCommand,
  python,
  sources,
}:
let
  tests = builtins.path {
    name = "short-packages";
    path = ../py/tests;
    filter =
      path: _:
      lib.elem (baseNameOf path) [
        "small_model.py"
        "short_packages.py"
      ];
  };
in
runCommand "htdemucs-coreml-test-packages"
  (
    import ./build-environment.nix
    // {
      nativeBuildInputs = [ python ];
      PYTHONPATH = sources.conversion;
    }
  )
  ''
    export HOME="$TMPDIR"
    mkdir "$TMPDIR/packages"
    python ${tests}/short_packages.py "$TMPDIR/packages"
    cp -R "$TMPDIR/packages" "$out"
  ''
