# Every test that hangs on a package (passthru.tests), as "PACKAGE-TEST"; none needs published weights.
{ lib }:
packages:
lib.concatMapAttrs (
  package: derivation:
  lib.mapAttrs' (test: check: lib.nameValuePair "${package}-${test}" check) (derivation.tests or { })
) packages
