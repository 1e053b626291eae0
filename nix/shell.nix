# The development environment: tests and linters over the locked Python, with the working tree's own sources.
{
  mkShell,
  development,
  git,
  libfaketime,
  nixfmt-tree,
  shellcheck,
}:
mkShell {
  packages = [
    development
    git
    libfaketime
    nixfmt-tree
    shellcheck
  ];
  shellHook = ''
    export PYTHONPATH="$(git rev-parse --show-toplevel)/py/src"
    export PYTHONDONTWRITEBYTECODE=1
  '';
}
