# The command-line tool `htdemucs-coreml` with its embedded packages and the lock.
{
  lib,
  runCommand,
  writeShellApplication,
  cacert,
  pythonEnvironment,
  python,
  sources,
  embeddedPackages,
  defaultVariant,
  lockAndContents,
}:
let
  environment = pythonEnvironment {
    name = "htdemucs-coreml-environment";
    wheels = [ ];
    below = [ python ];
    modules = sources.all;
  };

  cli = writeShellApplication {
    name = "htdemucs-coreml";
    text = ''
      export HTDEMUCS_COREML_PACKAGES="''${HTDEMUCS_COREML_PACKAGES:-${embeddedPackages}}"
      export HTDEMUCS_COREML_LOCK="''${HTDEMUCS_COREML_LOCK:-${lockAndContents}/lock.json}"
      # For `fetch`: not every Python here knows where the system keeps its certificates.
      export SSL_CERT_FILE="''${SSL_CERT_FILE:-''${NIX_SSL_CERT_FILE:-${cacert}/etc/ssl/certs/ca-bundle.crt}}"
      exec ${environment}/bin/python -I -m htdemucs_coreml "$@"
    '';
    passthru = {
      inherit environment;
      tests = {
        version = runCommand "htdemucs-coreml-version" { nativeBuildInputs = [ cli ]; } ''
          htdemucs-coreml --version | tee "$out"
          grep -q '[0-9]' "$out"
        '';
        embedded-package = runCommand "htdemucs-coreml-embedded-package" { nativeBuildInputs = [ cli ]; } ''
          htdemucs-coreml info ${embeddedPackages}/fixture.${defaultVariant}.mlpackage | tee "$out"
          test -s "$out"
        '';
        export = runCommand "htdemucs-coreml-export" { nativeBuildInputs = [ cli ]; } ''
          htdemucs-coreml export "$out"
          diff --recursive ${embeddedPackages}/fixture.${defaultVariant}.mlpackage "$out"/fixture.${defaultVariant}.mlpackage
        '';
      };
    };
  };
in
cli
