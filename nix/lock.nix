# goldens/lock.json with the listings beside it, as `verify` and the demonstration read them.
{ lib }:
builtins.path {
  name = "lock-and-contents";
  path = ../goldens;
  filter =
    path: _:
    lib.elem (baseNameOf path) [
      "lock.json"
      "contents"
    ]
    || baseNameOf (dirOf path) == "contents";
}
