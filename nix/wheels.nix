# Wheels of locks/<system>.txt, each a flat fixed-output derivation named after its file.
#
# pip fetches them, so that its configuration for mirrors and certificates counts. A wheel obtained otherwise is added with
# `nix-store --add-fixed sha256 FILE`: the store path is the same, and nothing is fetched.
{
  lib,
  stdenvNoCC,
  cacert,
  python311,
}:
let
  inherit (stdenvNoCC.hostPlatform) system;

  parseLine =
    line:
    let
      fields = builtins.match "([^=]+)==([^ ]+) --hash=sha256:([0-9a-f]{64}) # (runtime|development): (.+)" line;
      field = builtins.elemAt fields;
    in
    if fields == null then
      throw "locks/${system}.txt has a line that relock-wheels does not write: ${line}"
    else
      {
        name = field 0;
        version = field 1;
        sha256 = field 2;
        environment = field 3;
        file = field 4;
      };

  # PyTorch's builds with a local version (+cpu) are in its own index only.
  extraIndex =
    wheel:
    lib.optionalString (lib.hasInfix "+" wheel.version) "--extra-index-url https://download.pytorch.org/whl/cpu";

  # A wheel's name ends in -PYTHON-ABI-PLATFORM[.PLATFORM…].whl: with these tags pip fetches it on any system.
  platforms = wheel: lib.splitString "." (lib.removeSuffix ".whl" (lib.last (lib.splitString "-" wheel.file)));

  fetchWheel =
    wheel:
    stdenvNoCC.mkDerivation {
      name = wheel.file;
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = wheel.sha256;
      preferLocalBuild = true;
      nativeBuildInputs = [ (python311.withPackages (packages: [ packages.pip ])) ];

      # With a daemon these are the daemon's own variables.
      impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [
        "NIX_SSL_CERT_FILE"
        "PIP_CERT"
        "PIP_EXTRA_INDEX_URL"
        "PIP_INDEX_URL"
        "SSL_CERT_FILE"
      ];
      PIP_CONFIG_FILE = "/dev/null";
      PIP_DISABLE_PIP_VERSION_CHECK = "1";
      PIP_NO_CACHE_DIR = "1";

      requirement = "${wheel.name}==${wheel.version} --hash=sha256:${wheel.sha256}";
      buildCommand = ''
        export HOME="$TMPDIR"
        certificates="''${NIX_SSL_CERT_FILE:-${cacert}/etc/ssl/certs/ca-bundle.crt}"
        export SSL_CERT_FILE="''${SSL_CERT_FILE:-$certificates}" PIP_CERT="''${PIP_CERT:-$certificates}"

        echo "$requirement" > requirement.txt
        if ! python3 -m pip download --quiet --retries 2 --require-hashes --no-deps --only-binary :all: \
          ${extraIndex wheel} --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
          ${lib.concatMapStringsSep " " (platform: "--platform ${platform}") (platforms wheel)} \
          --requirement requirement.txt --dest download
        then
          echo >&2 "${wheel.file} could not be fetched: see pip's message above, and the network."
          echo >&2 "Obtained otherwise (sha256 ${wheel.sha256}), it is added by: nix-store --add-fixed sha256 ${wheel.file}"
          exit 1
        fi
        mv "download/${wheel.file}" "$out"
      '';
    };

  # Two packages have no wheel for Linux on arm64, where the lock names those for x86-64: coremltools, whose native parts the
  # conversion does without, and sphn, with which demucs reads audio files and this project does not. What is not native in
  # them becomes a wheel for every system.
  isForeign = wheel: system == "aarch64-linux" && lib.hasSuffix "_x86_64.whl" wheel.file;
  pythonPart =
    wheel: file:
    stdenvNoCC.mkDerivation {
      name = file;
      nativeBuildInputs = [ python311 ];
      wheel = fetchWheel wheel;
      buildCommand = ''python3 ${./python-part.py} "$wheel" "$out"'';
    };

  fromLine =
    line:
    let
      wheel = parseLine line;
      file = if isForeign wheel then "${wheel.name}-${wheel.version}-py3-none-any.whl" else wheel.file;
    in
    {
      inherit file;
      inherit (wheel) environment name;
      path = if isForeign wheel then pythonPart wheel file else fetchWheel wheel;
    };

  lines = lib.filter (line: line != "") (
    lib.splitString "\n" (builtins.readFile (./locks + "/${system}.txt"))
  );
  wheels = map fromLine lines;
in
{
  runtime = lib.filter (wheel: wheel.environment == "runtime") wheels;
  development = lib.filter (wheel: wheel.environment == "development") wheels;
  named = name: lib.filter (wheel: wheel.name == name) wheels;
}
