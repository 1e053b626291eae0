# shellcheck shell=bash
# Builds one derivation of hostpkgs inside Nix's sandbox: the part of nixpkgs' stdenv that this project relies on.
set -eu -o pipefail

path=/usr/bin
[[ -z ${basicTools:-} ]] || path=$basicTools/bin
for package in ${nativeBuildInputs:-}; do
  path=$package/bin:$path
done
export PATH=$path TZ=UTC SOURCE_DATE_EPOCH=315532800
umask 022

if [[ -n ${buildCommandPath:-} ]]; then
  # shellcheck source=/dev/null
  source "$buildCommandPath"
else
  eval "${buildCommand:?}"
fi
