# The development environment: tests and linters over the locked Python, with the working tree's own sources.
{
  lib,
  stdenv,
  mkShell,
  development,
  git,
  libfaketime,
  nixfmt-tree,
  shellcheck,
  # A test opens a page in this browser; hostpkgs has none, and the test finds Debian's in /usr/bin.
  chromium ? null,
  chromedriver ? null,
}:
mkShell {
  packages = [
    development
    git
    libfaketime
    nixfmt-tree
    shellcheck
  ]
  ++ lib.optionals (stdenv.hostPlatform.isLinux && chromium != null) [
    chromium
    chromedriver
  ];
  shellHook = ''
    export PYTHONPATH="$(git rev-parse --show-toplevel)/py/src"
    export PYTHONDONTWRITEBYTECODE=1
  '';
}
