# The wheel locks, and the goldens as they are built, compared with their entries in goldens/lock.json.
{
  lib,
  runCommand,
  python,
  sources,
  lockAndContents,
  goldens,
}:
let
  locked = {
    "goldens.small" = "${goldens}/manifest.json";
  }
  // lib.genAttrs [
    "wheels.aarch64-darwin"
    "wheels.aarch64-linux"
    "wheels.x86_64-linux"
  ] (name: ./locks + "/${lib.removePrefix "wheels." name}.txt");
in
runCommand "locked-files"
  (
    import ./build-environment.nix
    // {
      nativeBuildInputs = [ python ];
      PYTHONPATH = sources.conversion;
    }
  )
  ''
    export HOME="$TMPDIR"
    ${lib.concatStringsSep "\n" (
      lib.mapAttrsToList (name: file: ''
        python -m htdemucs_coreml.cli.lock check --name ${name} --lock ${lockAndContents}/lock.json \
          --contents ${lockAndContents}/contents ${file} | tee -a "$out"
      '') locked
    )}
  ''
