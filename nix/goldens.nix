# The small set of goldens, computed anew: the same bytes as goldens/small on every machine.
{
  lib,
  runCommand,
  python,
  sources,
}:
let
  generators = builtins.path {
    name = "goldens-generators";
    path = ../py/goldens;
    filter = path: _: lib.hasSuffix ".py" path;
  };
  committed = builtins.path {
    name = "goldens-committed";
    path = ../goldens/small;
  };
  environment = import ./build-environment.nix // {
    nativeBuildInputs = [ python ];
    PYTHONPATH = sources.goldens;
  };

  goldens =
    runCommand "goldens"
      (
        environment
        // {
          passthru.tests.committed = runCommand "goldens-committed" environment ''
            python -m htdemucs_coreml.goldens check ${committed} ${goldens} | tee "$out"
          '';
        }
      )
      ''
        export HOME="$TMPDIR"
        python ${generators}/small.py "$TMPDIR/small"
        cp -R "$TMPDIR/small" "$out"
      '';
in
goldens
