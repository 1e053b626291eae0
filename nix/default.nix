# Everything that the flake offers for one system.
{ pkgs }:
let
  inherit (pkgs) lib;

  registry = builtins.fromTOML (builtins.readFile ../py/src/htdemucs_coreml/models/registry.toml);
  variantTable = builtins.fromTOML (
    builtins.readFile ../py/src/htdemucs_coreml/convert/variants.toml
  );
  variants = lib.attrNames variantTable;
  # Variants whose packages of the project's own weights a release holds.
  released = [
    "budget20"
    "float32"
    "mixed"
  ];
  packageFolder =
    name: packages:
    pkgs.linkFarm name (
      map (package: {
        inherit (package) name;
        path = package;
      }) packages
    );

  # The packages of a variant, with segments of 10 s and of 7.8 s.
  bothSegments = packages: variant: [
    packages.${variant}
    packages."${variant}-7_8s"
  ];

  project = lib.makeScope pkgs.newScope (self: {
    sources = self.callPackage ./sources.nix { };
    wheels = self.callPackage ./wheels.nix { };
    pythonEnvironment = self.callPackage ./python.nix { };
    pinned = self.callPackage ./pinned.nix { };

    # What the package needs to run …
    python = self.pythonEnvironment {
      name = "htdemucs-coreml-python";
      wheels = self.wheels.runtime;
      tests = environment: {
        # Every wheel finds what it requires, and what is compiled loads.
        complete =
          pkgs.runCommand "python-complete"
            { nativeBuildInputs = [ (pkgs.python311.withPackages (packages: [ packages.pip ])) ]; }
            ''
              export HOME="$TMPDIR"
              python3 -m pip --disable-pip-version-check --python ${environment} check
              ${environment}/bin/python -c 'import av, coremltools, demucs, matplotlib.pyplot, numpy, soundfile, soxr, torch'
              touch "$out"
            '';
      };
    };
    # … and what its development needs besides.
    development = self.pythonEnvironment {
      name = "htdemucs-coreml-development";
      wheels = self.wheels.development;
      below = [ self.python ];
    };
    # `just` on its own, for ./bootstrap.
    just = self.pythonEnvironment {
      name = "just";
      wheels = self.wheels.named "rust-just";
    };

    weights-fixture = self.callPackage ./weights-fixture.nix { };
    publishedWeights = self.callPackage ./weights-published.nix { };
    weights-htdemucs_6s = self.publishedWeights "htdemucs_6s";

    goldens = self.callPackage ./goldens.nix { };
    songs = self.callPackage ./songs.nix { };

    # What is taken unless another variant is asked for, with segments of 10 s.
    defaultVariant = lib.head (
      lib.attrNames (lib.filterAttrs (_: entry: entry.default or false) variantTable)
    );

    lockAndContents = self.callPackage ./lock.nix { };
    lockedFiles = self.callPackage ./locked-files.nix { };
    mlpackage = self.callPackage ./mlpackage.nix { };
    mlpackages =
      let
        variantsOf =
          model: weights:
          lib.recurseIntoAttrs (
            lib.genAttrs variants (variant: self.mlpackage { inherit model variant weights; })
          );
        published = lib.attrNames (lib.filterAttrs (_: entry: entry ? weights) registry);
      in
      { fixture = variantsOf "fixture" self.weights-fixture; }
      // lib.genAttrs published (model: variantsOf model (self.publishedWeights model));
    # For each bag of models and variant, a folder of its members' packages.
    bags = lib.mapAttrs (
      bag: entry:
      lib.recurseIntoAttrs (
        lib.genAttrs variants (
          variant:
          packageFolder "${bag}.${variant}.packages" (map (member: self.mlpackages.${member}.${variant}) entry.bag)
        )
      )
    ) (lib.filterAttrs (_: entry: entry ? bag) registry);
    embeddedPackages = packageFolder "htdemucs-coreml-packages" (
      bothSegments self.mlpackages.fixture self.defaultVariant
    );
    # What tests and comparisons run: what is embedded, and the packages that prove the conversion.
    comparedPackages = packageFolder "htdemucs-coreml-compared-packages" (
      bothSegments self.mlpackages.fixture self.defaultVariant
      ++ bothSegments self.mlpackages.fixture "float32"
    );
    testPackages = self.callPackage ./test-packages.nix { };

    releasedPackages = lib.concatMap (bothSegments self.mlpackages.fixture) released;
    release = self.callPackage ./release.nix { };
    # All that may go into a cache or a release, of which nothing derives from published weights: ci/check-redistribution.
    redistributable = packageFolder "htdemucs-coreml-redistributable" (
      [
        self.development
        self.goldens
        self.htdemucs-coreml
        self.interpreter
        self.just
        self.python
        self.release
        self.testPackages
        self.weights-fixture
      ]
      ++ lib.attrValues (removeAttrs self.mlpackages.fixture [ "recurseForDerivations" ])
    );

    interpreter = self.callPackage ./interpreter.nix { };
    htdemucs-coreml = self.callPackage ./cli.nix { };
    demo = self.callPackage ./demo.nix { };
    shell = self.callPackage ./shell.nix { };
    checks = self.callPackage ./checks.nix { };
  });

  app = description: package: {
    type = "app";
    program = lib.getExe package;
    meta = { inherit description; };
  };
in
{
  packages = {
    default = project.htdemucs-coreml;
    mlpackage = project.mlpackages.htdemucs_6s.${project.defaultVariant};
    mlpackage-fixture = project.mlpackages.fixture.${project.defaultVariant};
    inherit (project)
      goldens
      htdemucs-coreml
      python
      songs
      weights-fixture
      weights-htdemucs_6s
      ;
  };

  legacyPackages = {
    inherit (project)
      bags
      comparedPackages
      development
      embeddedPackages
      interpreter
      just
      mlpackages
      redistributable
      release
      testPackages
      ;
  };

  checks = {
    locked-files = project.lockedFiles;
  }
  // project.checks (
    {
      inherit (project) goldens htdemucs-coreml python;
    }
    // lib.mapAttrs' (variant: package: lib.nameValuePair "mlpackage-fixture-${variant}" package) (
      removeAttrs project.mlpackages.fixture [ "recurseForDerivations" ]
    )
  );

  apps = {
    default = app "Convert, verify and separate with HTDemucs as a Core ML package" project.htdemucs-coreml;
    demo = app "Check the fixture package and separate a song through it" project.demo;
  };

  devShells.default = project.shell;
  formatter = pkgs.nixfmt-tree;
}
