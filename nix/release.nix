# What a release holds: packages of the project's own weights as archives, goldens, the lock, and a bill of materials with the
# licences of every wheel that the tool runs with. The same bytes every time: dates are the publisher's to add, beside it.
{
  lib,
  runCommand,
  development,
  goldens,
  lockAndContents,
  python,
  releasedPackages,
}:
let
  archives = map (package: {
    inherit package;
    file = "${package.name}.tar.gz";
  }) releasedPackages;
in
runCommand "htdemucs-coreml-release"
  (
    import ./build-environment.nix
    // {
      nativeBuildInputs = [ development ];
      passthru = { inherit releasedPackages; };
    }
  )
  ''
    archive() { # SOURCE NAME FILE
      mkdir "$TMPDIR/$2"
      cp -R --no-preserve=mode "$1/." "$TMPDIR/$2"
      tar --create --directory "$TMPDIR" --format ustar --sort name --mtime @0 --owner 0 --group 0 --numeric-owner \
        --mode u=rwX,go=rX "$2" | gzip --no-name -9 > "$out/$3"
    }

    export HOME="$TMPDIR"
    mkdir "$out"
    ${lib.concatMapStringsSep "\n" (
      { package, file }: "archive ${package} ${package.name} ${file}"
    ) archives}
    archive ${goldens} goldens goldens.tar.gz
    cp ${lockAndContents}/lock.json "$out/lock.json"
    cyclonedx-py environment --output-reproducible --gather-license-texts --output-format JSON \
      --output-file "$out/wheels.cdx.json" ${python}/bin/python
    python ${./licences.py} "$out/wheels.cdx.json" "$out/licences.txt"
    (cd "$out" && sha256sum -- * > "$TMPDIR/SHA256SUMS" && mv "$TMPDIR/SHA256SUMS" .)
  ''
