# `htdemucs-interpreter PACKAGE`: predictions of a package over standard input and output, for the Swift stand-in of Core ML.
{
  writeShellApplication,
  pythonEnvironment,
  python,
  sources,
}:
let
  environment = pythonEnvironment {
    name = "htdemucs-interpreter-environment";
    wheels = [ ];
    below = [ python ];
    modules = sources.interpreter;
  };
in
writeShellApplication {
  name = "htdemucs-interpreter";
  text = ''
    # A terminal's Ctrl-C is the host's to answer, from the first moment on.
    trap "" INT
    exec ${environment}/bin/python -I -m htdemucs_coreml.mil.serving "$@"
  '';
}
