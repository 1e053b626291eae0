# Published weights of one model, by the URL and sha256 of the registry. They are fetched, never put into a cache or a release.
{
  lib,
  stdenvNoCC,
  cacert,
  python311,
}:
model:
let
  registry = builtins.fromTOML (builtins.readFile ../py/src/htdemucs_coreml/models/registry.toml);
  # The preferred form, which stands first. A pin that is open ends the evaluation, with what the registry says of it.
  weights = lib.head registry.${model}.weights;
  pinned =
    name:
    weights.${name} or (throw "${weights.file}, the published weights of ${model}, has no ${name} in the registry: ${weights.open}");
in
stdenvNoCC.mkDerivation {
  name = weights.file;
  outputHashMode = "flat";
  outputHashAlgo = "sha256";
  outputHash = pinned "sha256";
  preferLocalBuild = true;
  allowSubstitutes = false;
  nativeBuildInputs = [ python311 ];
  impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [
    "NIX_SSL_CERT_FILE"
    "SSL_CERT_FILE"
  ];
  inherit (weights) url;
  buildCommand = ''
    export SSL_CERT_FILE="''${SSL_CERT_FILE:-''${NIX_SSL_CERT_FILE:-${cacert}/etc/ssl/certs/ca-bundle.crt}}"
    # A network that falls silent ends the build; `fetched` becomes $out only when it is whole.
    if ! python3 -c '
    import socket, sys, urllib.request
    socket.setdefaulttimeout(60)
    urllib.request.urlretrieve(*sys.argv[1:])
    ' "$url" fetched 2> reason; then
      tail -n 1 reason >&2
      cat >&2 <<END

    The published weights of ${model} could not be fetched.
      URL     $url
      sha256  ${pinned "sha256"}
      bytes   ${toString (pinned "bytes")}
    Obtain the file otherwise, keep its name, and add it with:
      nix-store --add-fixed sha256 ${weights.file}
    END
      exit 1
    fi
    mv fetched "$out"
  '';
}
