# The functions of nixpkgs' `lib` that this project calls, with nixpkgs' meaning.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elemAt
    filter
    functionArgs
    intersectAttrs
    isString
    length
    listToAttrs
    match
    replaceStrings
    split
    stringLength
    substring
    ;
in
rec {
  inherit
    attrNames
    concatStringsSep
    elemAt
    filter
    length
    listToAttrs
    ;
  inherit (builtins)
    any
    attrValues
    elem
    hasAttr
    head
    isAttrs
    mapAttrs
    ;

  # Lists
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  last = list: elemAt list (length list - 1);
  concatMap = builtins.concatMap;

  # Attribute sets
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  concatMapAttrs = f: set: builtins.foldl' (all: some: all // some) { } (mapAttrsToList f set);
  optionalAttrs = condition: set: if condition then set else { };
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  importJSON = path: builtins.fromJSON (builtins.readFile path);

  # Strings
  optionalString = condition: string: if condition then string else "";
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  hasPrefix = prefix: string: substring 0 (stringLength prefix) string == prefix;
  hasSuffix =
    suffix: string:
    stringLength string >= stringLength suffix
    && substring (stringLength string - stringLength suffix) (stringLength suffix) string == suffix;
  hasInfix = infix: string: length (split (escapeRegex infix) string) > 1;
  removePrefix =
    prefix: string:
    if hasPrefix prefix string then
      substring (stringLength prefix) (stringLength string - stringLength prefix) string
    else
      string;
  removeSuffix =
    suffix: string:
    if hasSuffix suffix string then substring 0 (stringLength string - stringLength suffix) string else string;
  splitString = separator: string: filter isString (split (escapeRegex separator) string);
  stringToCharacters =
    string: builtins.genList (index: substring index 1 string) (stringLength string);
  escapeRegex =
    let
      special = stringToCharacters "\\^$.|?*+()[]{}";
    in
    replaceStrings special (map (character: "\\" + character) special);
  escapeShellArg =
    argument:
    if match "[[:alnum:],._+:@%/-]+" (toString argument) != null then
      toString argument
    else
      "'" + replaceStrings [ "'" ] [ "'\\''" ] (toString argument) + "'";
  makeSearchPath = folder: concatMapStringsSep ":" (package: "${package}/${folder}");
  makeBinPath = makeSearchPath "bin";
  makeLibraryPath = makeSearchPath "lib";
  getExe = package: "${package}/bin/${package.meta.mainProgram}";

  # Package sets
  callPackageWith =
    packages: file: arguments:
    let
      f = if builtins.isFunction file then file else import file;
      result = f (intersectAttrs (functionArgs f) packages // arguments);
    in
    # nixpkgs adds these two: a set that is taken for a plain one fails here too.
    if builtins.isAttrs result then
      result
      // {
        override = throw "hostpkgs has no override";
        overrideDerivation = throw "hostpkgs has no overrideDerivation";
      }
    else
      result;
  makeScope =
    newScope: f:
    let
      scope = f scope // { callPackage = newScope scope; };
    in
    scope;

  fetchers.proxyImpureEnvVars = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
    "HTTP_PROXY"
    "HTTPS_PROXY"
    "NO_PROXY"
  ];
}
