# One model in one variant as a Core ML package, converted and compared with the lock; the same bytes on every machine.
{
  lib,
  runCommand,
  pinned,
}:
{
  model,
  variant,
  weights,
}:
pinned {
  name = "${model}.${variant}.mlpackage";
  artefact = "mlpackages.${model}.${variant}";
  command = ''
    python -m htdemucs_coreml convert --model ${model} --weights ${weights} --variant ${variant} -o "$result"
  '';
  tests = package: {
    # The Core ML compiler rejects links; a package is folders and plain files, and nothing in it is a program.
    plain-files = runCommand "${model}.${variant}-plain-files" { } ''
      others=$(find ${package} ! -type d ! \( -type f ! -perm /111 \))
      if [ -n "$others" ]; then
        echo >&2 "neither a folder nor a plain file: $others"
        exit 1
      fi
      test "$(find ${package} -type f | wc -l)" -ge 3
      touch "$out"
    '';
  };
}
