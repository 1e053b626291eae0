{
  description = "HTDemucs music source separation as a reproducible, verified Core ML package";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      project = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ] (system: import ./nix { pkgs = nixpkgs.legacyPackages.${system}; });
      output = name: builtins.mapAttrs (_: outputs: outputs.${name}) project;
    in
    {
      packages = output "packages";
      legacyPackages = output "legacyPackages";
      checks = output "checks";
      apps = output "apps";
      devShells = output "devShells";
      formatter = output "formatter";
    };
}
