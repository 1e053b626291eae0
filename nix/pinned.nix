# A derivation whose output is compared with its entry in goldens/lock.json as its last step.
#
# Only this artefact's entry and listing are inputs, so that relocking one artefact rebuilds no other. `unchecked` is the same
# without the comparison: what `just relock` records.
{
  lib,
  runCommand,
  python,
  sources,
}:
{
  # Name in the store, with the ending that the format wants.
  name,
  # Name in goldens/lock.json.
  artefact,
  # Commands that write "$result".
  command,
  tests ? (_: { }),
}:
let
  lock = lib.importJSON ../goldens/lock.json;
  entry =
    lock.artefacts.${artefact}
      or (throw "goldens/lock.json has no entry for ${artefact}: add one that is null with a reason, then run `just relock MODEL`");
  lockFile = builtins.toFile "lock.json" (
    builtins.toJSON {
      inherit (lock) version;
      artefacts.${artefact} = entry;
    }
  );
  listing = builtins.path {
    name = "listing";
    path = ../goldens;
    filter = path: type: type == "directory" && baseNameOf path == "contents" || baseNameOf path == "${artefact}.txt";
  };

  environment = import ./build-environment.nix // {
    nativeBuildInputs = [ python ];
    PYTHONPATH = sources.conversion;
  };
  produce = ''
    export HOME="$TMPDIR"
    result="$TMPDIR/${name}"
    ${command}
  '';

  unchecked = runCommand name environment ''
    ${produce}
    cp -R "$result" "$out"
  '';
  checked =
    runCommand name
      (
        environment
        // {
          passthru = {
            inherit artefact unchecked;
            tests = tests checked;
          };
        }
      )
      ''
        ${produce}
        python -m htdemucs_coreml.cli.lock check --name ${artefact} \
          --lock ${lockFile} --contents ${listing}/contents "$result"
        cp -R "$result" "$out"
      '';
in
checked
