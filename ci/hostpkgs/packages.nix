# The packages of nixpkgs that this project uses, made of what a Debian host has in /usr.
#
# A package is a folder of links to the host's programs or libraries. Builds see these folders on PATH and nothing else of the
# host's, so that an undeclared input fails here as it does with nixpkgs.
{ lib, system }:
let
  bash = "/bin/bash";
  libraryFolder = "/usr/lib/${
    {
      x86_64-linux = "x86_64-linux-gnu";
      aarch64-linux = "aarch64-linux-gnu";
      aarch64-darwin = "unavailable";
    }
    .${system}
  }";

  derivationWith =
    attributes:
    derivation (
      {
        inherit system;
        builder = bash;
        args = [ ./builder.sh ];
      }
      // attributes
    );

  mkDerivation =
    attributes:
    let
      name = attributes.name or "${attributes.pname}-${attributes.version}";
      passthru = attributes.passthru or { };
    in
    derivationWith (
      { inherit basicTools; }
      // removeAttrs attributes [
        "meta"
        "passthru"
        "pname"
        "version"
      ]
      // {
        inherit name;
        passAsFile = [ "buildCommand" ] ++ attributes.passAsFile or [ ];
      }
    )
    // passthru
    // {
      inherit passthru;
      meta = attributes.meta or { };
    };

  links =
    {
      name,
      folder,
      from,
      files,
    }:
    derivationWith {
      name = "host-${name}";
      inherit folder from files;
      buildCommand = ''
        mkdir -p "$out/$folder"
        for file in $files; do
          if [ ! -e "$from/$file" ]; then
            echo >&2 "hostpkgs: this host has no $from/$file; ./bootstrap installs what hostpkgs needs on Debian 12."
            exit 1
          fi
          ln -s "$from/$file" "$out/$folder/$file"
        done
      '';
    };

  # `files` are words in a string.
  programs =
    name: files:
    links {
      inherit name files;
      folder = "bin";
      from = "/usr/bin";
    }
    // {
      meta.mainProgram = name;
    };

  libraries =
    name: files:
    links {
      inherit name files;
      folder = "lib";
      from = libraryFolder;
    };

  # What nixpkgs' stdenv has on PATH, as far as it is used.
  basicTools = programs "basic-tools" (
    "bash awk grep sed find xargs diff cmp tar gzip "
    + "basename cat chmod cp cut date dirname env head id install ln ls mkdir mktemp mv nproc printf pwd readlink realpath "
    + "rm rmdir sha256sum sort stat tail tee test touch tr true uname uniq wc"
  );

  runCommand =
    name: attributes: buildCommand:
    mkDerivation (attributes // { inherit name buildCommand; });

  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      meta ? { },
      passthru ? { },
    }:
    mkDerivation {
      inherit
        name
        text
        destination
        meta
        passthru
        ;
      passAsFile = [ "text" ];
      buildCommand = ''
        mkdir -p "$(dirname "$out$destination")"
        cp "$textPath" "$out$destination"
        ${lib.optionalString executable ''chmod +x "$out$destination"''}
      '';
    };

  packages = {
    inherit
      lib
      system
      runCommand
      writeTextFile
      ;

    newScope = scope: lib.callPackageWith (packages // scope);
    callPackage = packages.newScope { };

    stdenv = {
      inherit mkDerivation;
      hostPlatform = {
        inherit system;
        isLinux = lib.hasSuffix "-linux" system;
        isDarwin = lib.hasSuffix "-darwin" system;
      };
      cc = {
        cc.lib = libraries "gcc-libraries" "libgcc_s.so.1 libstdc++.so.6";
        bintools.dynamicLinker =
          {
            x86_64-linux = "/lib64/ld-linux-x86-64.so.2";
            aarch64-linux = "/lib/ld-linux-aarch64.so.1";
          }
          .${system};
      };
    };
    stdenvNoCC = packages.stdenv;
    runtimeShell = bash;

    # Debian's pip lies in the interpreter's own folders.
    python311 = programs "python3.11" "python3 python3.11" // {
      interpreter = "/usr/bin/python3.11";
      withPackages = choose: builtins.seq (choose { pip = null; }) packages.python311;
    };
    zlib = libraries "zlib" "libz.so.1";
    libuuid = libraries "libuuid" "libuuid.so.1";
    cacert = runCommand "host-cacert" { } ''
      mkdir -p "$out/etc/ssl/certs"
      ln -s /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-bundle.crt"
    '';
    bashInteractive = programs "bash" "bash" // {
      shellPath = "/bin/bash";
    };
    git = programs "git" "git";
    libfaketime = programs "faketime" "faketime";
    shellcheck = programs "shellcheck" "shellcheck";
    patchelf = throw "hostpkgs has no patchelf: the host's loader is the one that wheels name";

    linkFarm =
      name: entries:
      runCommand name { } ''
        mkdir -p "$out"
        ${lib.concatMapStringsSep "\n" (
          entry: ''ln -s ${lib.escapeShellArg entry.path} "$out"/${lib.escapeShellArg entry.name}''
        ) entries}
      '';

    writeShellApplication =
      {
        name,
        text,
        runtimeInputs ? [ ],
        meta ? { },
        passthru ? { },
      }:
      writeTextFile {
        inherit name passthru;
        meta = meta // {
          mainProgram = name;
        };
        executable = true;
        destination = "/bin/${name}";
        text = ''
          #!${bash}
          set -o errexit
          set -o nounset
          set -o pipefail
          ${lib.optionalString (runtimeInputs != [ ]) ''export PATH="${lib.makeBinPath runtimeInputs}:$PATH"''}

          ${text}
        '';
      };

    # No formatter for Nix is among Debian's packages: this one checks the syntax and says so.
    nixfmt-tree = packages.writeShellApplication {
      name = "treefmt";
      text = ''
        count=0
        while IFS= read -r -d "" file; do
          nix-instantiate --parse "$file" > /dev/null
          count=$((count + 1))
        done < <(git ls-files -z -- '*.nix')
        echo "$count .nix files: the syntax is right; their format is left as it is, for nixfmt needs real nixpkgs." >&2
      '';
    };

    # `nix develop` wants bash for the builder, $outputs, and a $stdenv with a file `setup`.
    mkShell =
      {
        name ? "development-shell",
        packages ? [ ],
        shellHook ? "",
      }:
      derivation {
        inherit name system shellHook;
        outputs = [ "out" ];
        builder = bash;
        args = [
          "-c"
          "export -p > $out"
        ];
        shellPath = lib.makeBinPath packages;
        stdenv = writeTextFile {
          name = "host-stdenv";
          destination = "/setup";
          text = ''export PATH="$shellPath''${shellPath:+:}/usr/bin:/bin"'';
        };
      };
  };
in
packages
