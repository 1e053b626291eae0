# The Python package's sources, as far as each use needs them, so that an edit elsewhere rebuilds nothing.
{ lib }:
let
  root = ../py/src;

  select =
    name: keep:
    builtins.path {
      inherit name;
      path = root;
      filter =
        path: type:
        let
          parts = lib.splitString "/" (lib.removePrefix "${toString root}/" (toString path));
        in
        lib.head parts == "htdemucs_coreml"
        && (lib.length parts == 1 || keep (lib.elemAt parts 1))
        && lib.last parts != "__pycache__"
        && (type == "directory" || lib.hasSuffix ".py" path || lib.hasSuffix ".toml" path);
    };
in
{
  all = select "htdemucs-coreml-sources" (_: true);

  # What `htdemucs-coreml convert`, the fixture weights and the lock need: nothing of audio, and not the interpreter.
  conversion = select "htdemucs-coreml-conversion-sources" (
    module:
    lib.elem module [
      "__init__.py"
      "__main__.py"
      "cli"
      "convert"
      "core"
      "errors.py"
      "files.py"
      "models"
      "package"
      "weights"
    ]
  );
}
