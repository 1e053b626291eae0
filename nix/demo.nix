# The demonstration: the fixture package checked against the lock, and a song of its own separated through it.
{
  writeShellApplication,
  htdemucs-coreml,
  lockAndContents,
  mlpackages,
  defaultVariant,
}:
writeShellApplication {
  name = "htdemucs-coreml-demo";
  text = ''
    exec ${htdemucs-coreml.environment}/bin/python -I -m htdemucs_coreml.demo \
      --package ${mlpackages.fixture.${defaultVariant}} --lock ${lockAndContents}/lock.json "$@"
  '';
}
