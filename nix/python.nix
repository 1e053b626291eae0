# A Python environment in the form of a virtual environment: bin/, lib/python3.11/site-packages and pyvenv.cfg, which shuts out
# every other package of the machine. `below` are environments whose packages this one sees without a copy of its own.
{
  lib,
  stdenv,
  runCommand,
  linkFarm,
  runtimeShell,
  python311,
  patchelf,
  libuuid,
  zlib,
}:
{
  name,
  wheels,
  below ? [ ],
  # Folder of modules that are installed as they are.
  modules ? null,
  tests ? (_: { }),
}:
let
  inherit (stdenv.hostPlatform) isLinux;
  sitePackages = "lib/python3.11/site-packages";

  wheelhouse = linkFarm "${name}-wheels" (
    map (wheel: {
      name = wheel.file;
      inherit (wheel) path;
    }) wheels
  );

  # What manylinux wheels expect of every Linux system, and Nix's own glibc does not find there.
  manylinuxLibraries = lib.makeLibraryPath [
    stdenv.cc.cc.lib
    libuuid
    zlib
  ];
  # The programs in wheels (ruff, just, …) name this one.
  manylinuxLoader =
    {
      x86_64-linux = "/lib64/ld-linux-x86-64.so.2";
      aarch64-linux = "/lib/ld-linux-aarch64.so.1";
    }
    .${stdenv.hostPlatform.system};
  loader = stdenv.cc.bintools.dynamicLinker;
  loaderDiffers = isLinux && loader != manylinuxLoader;

  environment =
    runCommand name
      {
        nativeBuildInputs = [
          (python311.withPackages (packages: [ packages.pip ]))
        ]
        ++ lib.optional loaderDiffers patchelf;
        PIP_CONFIG_FILE = "/dev/null";
        PIP_DISABLE_PIP_VERSION_CHECK = "1";
        # Compiled files come from the last step alone, and the order of sets does not reach them.
        PYTHONDONTWRITEBYTECODE = "1";
        PYTHONHASHSEED = "0";
        passthru = {
          inherit sitePackages;
          tests = tests environment;
        };
      }
      ''
        export HOME="$TMPDIR"
        unset PYTHONPATH
        site="$out/${sitePackages}"
        mkdir -p "$out/bin" "$site"

        cat > "$out/pyvenv.cfg" <<END
        home = ${dirOf python311.interpreter}
        include-system-site-packages = false
        version = 3.11
        END
        ${
          if isLinux then
            ''
              cat > "$out/bin/python" <<END
              #!${runtimeShell}
              export LD_LIBRARY_PATH=${manylinuxLibraries}\''${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
              exec -a $out/bin/python ${python311.interpreter} "\$@"
              END
              chmod +x "$out/bin/python"
            ''
          else
            ''ln -s ${python311.interpreter} "$out/bin/python"''
        }
        ln -s python "$out/bin/python3"

        ${lib.optionalString (wheels != [ ]) ''
          python3 -m pip --python "$out" install --quiet --no-index --no-deps --no-compile --no-cache-dir ${wheelhouse}/*.whl
        ''}
        ${lib.optionalString (modules != null) ''cp -R --no-preserve=mode ${modules}/. "$site"''}
        ${lib.concatMapStringsSep "\n" (
          environment: ''echo "${environment}/${sitePackages}" >> "$site/below.pth"''
        ) below}
        ${lib.optionalString loaderDiffers ''
          for program in "$out"/bin/*; do
            if patchelf --print-interpreter "$program" > /dev/null 2>&1; then
              patchelf --set-interpreter ${loader} "$program"
            fi
          done
        ''}

        # Nothing in the store changes, so compiled files need no check. torch has one test helper in Python 3.12's grammar.
        "$out/bin/python" -m compileall -q --invalidation-mode unchecked-hash -x '/py312_[^/]*$' "$site"
      '';
in
environment
