# A derivation whose output is compared with its entry in goldens/lock.json as its last step.
#
# Only this artefact's entry and listing are inputs, so that relocking one artefact compares no other again. `unchecked` is what is
# compared: what `just relock` records, and is not built again after it.
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
  # What of it the lock holds: a package, or one file.
  compared ? "$result",
  # Sources that they and the comparison need.
  pythonPath ? sources.conversion,
  tests ? (_: { }),
}:
let
  lock = lib.importJSON ../goldens/lock.json;
  # A reason why nothing is confirmed holds for an artefact, or for all whose names have one part more.
  group = lib.head (builtins.match "(.*)[.][^.]*" artefact);
  entry = lib.optionalAttrs (lock.artefacts ? ${artefact}) { ${artefact} = lock.artefacts.${artefact}; };
  reasons =
    name: lib.optionalAttrs (lock.unconfirmed ? ${name}) { ${name} = lock.unconfirmed.${name}; };
  unconfirmed = lib.optionalAttrs (entry == { }) (reasons group // reasons artefact);
  lockFile =
    if entry == { } && unconfirmed == { } then
      throw "goldens/lock.json has no entry for ${artefact}: run `just relock MODEL`, or say under `unconfirmed` why there is none"
    else
      builtins.toFile "lock.json" (
        builtins.toJSON {
          inherit (lock) version;
          artefacts = entry;
          inherit unconfirmed;
        }
      );
  listing = builtins.path {
    name = "listing";
    path = ../goldens;
    filter = path: type: type == "directory" && baseNameOf path == "contents" || baseNameOf path == "${artefact}.txt";
  };

  environment = import ./build-environment.nix // {
    nativeBuildInputs = [ python ];
    PYTHONPATH = pythonPath;
  };
  unchecked = runCommand name environment ''
    export HOME="$TMPDIR"
    result="$TMPDIR/${name}"
    ${command}
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
        export HOME="$TMPDIR"
        result=${unchecked}
        python -m htdemucs_coreml.cli.lock check --name ${artefact} \
          --lock ${lockFile} --contents ${listing}/contents "${compared}"
        cp -R "$result" "$out"
      '';
in
checked
