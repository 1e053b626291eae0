# The Python package's sources, as far as each use needs them, so that an edit elsewhere rebuilds nothing.
{ lib }:
let
  root = ../py/src;

  # `modules` are files and folders under `root`.
  select =
    name: modules:
    builtins.path {
      inherit name;
      path = root;
      filter =
        path: type:
        let
          relative = lib.removePrefix "${toString root}/" path;
          isSelected =
            module:
            relative == module || lib.hasPrefix "${module}/" relative || lib.hasPrefix "${relative}/" module;
          isSource =
            type == "directory"
            || lib.any (ending: lib.hasSuffix ending relative) [
              ".css"
              ".html"
              ".js"
              ".py"
              ".toml"
            ];
        in
        isSource && baseNameOf path != "__pycache__" && lib.any isSelected modules;
    };
in
{
  all = select "htdemucs-coreml-sources" [ "htdemucs_coreml" ];

  # What `htdemucs-coreml convert`, the fixture weights and the lock need: no file of audio, and not the interpreter.
  conversion = select "htdemucs-coreml-conversion-sources" (
    map (module: "htdemucs_coreml/${module}") [
      "__init__.py"
      "__main__.py"
      "cli/__init__.py"
      "cli/application.py"
      "cli/convert.py"
      "cli/lock.py"
      "cli/paths.py"
      "cli/sha256_option.py"
      "cli/streams.py"
      "cli/terminal_text.py"
      "cli/termination.py"
      "compress"
      "convert"
      "core"
      "errors.py"
      "deferred_signals.py"
      "files.py"
      "goldens/__init__.py"
      "goldens/errors.py"
      "goldens/manifest.py"
      "models"
      "package"
      "plan_files.py"
      "precision"
      "signals.py"
      "weights"
    ]
  );

  # What the project's songs need, and the comparison with the lock.
  songs = select "htdemucs-coreml-songs-sources" (
    map (module: "htdemucs_coreml/${module}") [
      "__init__.py"
      "cli/__init__.py"
      "cli/application.py"
      "cli/lock.py"
      "cli/paths.py"
      "cli/streams.py"
      "cli/terminal_text.py"
      "cli/termination.py"
      "core/__init__.py"
      "core/contract.py"
      "errors.py"
      "deferred_signals.py"
      "files.py"
      "package"
      "songs"
    ]
  );

  # What the interpreter of packages needs.
  interpreter = select "htdemucs-coreml-interpreter-sources" [
    "htdemucs_coreml/__init__.py"
    "htdemucs_coreml/mil"
  ];

  # What the goldens' generators need.
  goldens = select "htdemucs-coreml-goldens-sources" (
    map (module: "htdemucs_coreml/${module}") [
      "__init__.py"
      "core/__init__.py"
      "core/contract.py"
      "errors.py"
      "deferred_signals.py"
      "files.py"
      "goldens"
      "models"
      "signals.py"
      "weights"
    ]
  );
}
