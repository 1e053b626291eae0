# Recipes of this project. `./bootstrap RECIPE` runs one on a fresh machine; afterwards `just RECIPE` does.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

root := justfile_directory()
state := root / ".local"

# Where packages come from: real nixpkgs or hostpkgs. ./bootstrap decides.
nixpkgs := if path_exists(state / "nixpkgs") == "true" { trim(read(state / "nixpkgs")) } else { error("this machine is not set up yet: run ./bootstrap RECIPE once") }
settings := root / if nixpkgs == "hostpkgs" { "ci/hostpkgs/nix.conf" } else { "nix/nix.conf" }
override := if nixpkgs == "hostpkgs" { "--override-input nixpkgs path:" + root / "ci/hostpkgs" } else { "" }

export NIX_CONFIG := env("NIX_CONFIG", "") + "\n" + read(settings)

# Errors, the logs of builds and, on a terminal, their progress; not, every time, that an override does not go into flake.lock.
quietly := "--quiet --quiet --quiet"
develop := "nix develop " + override + " --command"
# Lets a command find the fixture's packages, which are built first: those of the default variant, and float32's to compare with.
with_packages := "HTDEMUCS_COREML_PACKAGES=\"$(just build comparedPackages | tail -n 1)\""
# glibc gives large blocks back to the system after each step of training or segment and takes them anew: half of the time.
keep_memory := "MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=34359738368 MALLOC_TOP_PAD_=268435456"

swift_release := "-c release -Xswiftc -warnings-as-errors -Xcc -Werror"
# Tests run over what is shipped, but for the names that only they see.
swift_tests := swift_release + " -Xswiftc -enable-testing --disable-swift-testing --scratch-path .build/tests"

[private]
default:
    @just --list

# Build the fixture package, check it against the lock and separate a song through it
[group('use')]
demo output=(state / "demo"):
    nix run {{ override }} --print-build-logs .#demo -- --output "$1"

# Run the command-line tool; arguments go to it, and paths among them start where you are
[group('use')]
[no-cd]
[no-exit-message]
run *arguments:
    @nix run {{ quietly }} {{ override }} {{ root }} -- "$@"

# Build an output of the flake; its store path is the last line
[group('use')]
build output:
    @mkdir -p "{{ state }}/outputs"
    @nix build {{ quietly }} {{ override }} --print-build-logs --out-link "{{ state }}/outputs/$1" ".#$1"
    @readlink "{{ state }}/outputs/$1"

# Build several outputs of the flake side by side
[private]
build-all *outputs:
    @nix build {{ quietly }} {{ override }} --print-build-logs --no-link "${@/#/.#}"

# What builds an output of the flake, as a path; nothing is built
[private]
derivation output:
    @nix path-info {{ quietly }} {{ override }} --derivation ".#$1"

# Put everything that may be redistributed, built, into a folder that is a binary cache
[group('use')]
save-cache folder:
    nix copy {{ override }} --to "file://$(realpath --canonicalize-missing "$1")?compression=zstd" ".#redistributable"

# Take what a folder of `save-cache` holds into this machine's store, so that it is not built again
[group('use')]
restore-cache folder:
    nix copy {{ override }} --all --no-check-sigs --from "file://$(realpath "$1")"

# Build the Swift command-line tool and what it runs with; its path is the last line. Arguments go to `swift build`
[group('use')]
build-swift *arguments:
    ci/link-packages
    ci/swift build {{ swift_release }} --product htdemucs "$@"
    @echo "$(ci/swift build {{ swift_release }} --show-bin-path "$@")/htdemucs"

# Render the project's songs with true stems into a folder to be made, or others: `--seed 7`, `--recipe FILE`, `--song NAME`
[group('use')]
songs-render output *arguments:
    {{ develop }} python -m htdemucs_coreml.songs render --output "$@"

# Put stems beside references on a page to listen to, with a blind test; further results (NAME=FOLDER) and options may follow
[group('use')]
[no-exit-message]
listening-report references results output *arguments:
    @{{ develop }} bash -c 'cd "$1" && python -m htdemucs_coreml.listening "$2" "$3" --output "$4" "${@:5}"' listening \
      "{{ invocation_directory() }}" "$@"

# Copy the fixture package into a folder, to be changed or dragged into Xcode
[group('use')]
[no-cd]
[no-exit-message]
export folder:
    @nix run {{ quietly }} {{ override }} {{ root }} -- export "$1"

# Everything that has to pass: linters, what is redistributed, then tests
[group('check')]
test: lint check-redistribution test-swift test-py parity-swift

# Linters over Python, shell, Nix, workflows and Swift
[group('check')]
lint: && lint-swift
    {{ develop }} ci/lint

# Swift's formatter as a linter, with the machine's own Swift
[group('check')]
lint-swift:
    ci/swift format lint --strict --recursive swift Package.swift

# Python's tests; arguments go to pytest
[group('check')]
test-py *arguments:
    {{ with_packages }} {{ develop }} bash -c 'cd py && python -m pytest "$@"' pytest "$@"

# Swift's build and tests, with the machine's own Swift; arguments go to `swift test`
[group('check')]
test-swift *arguments:
    ci/link-packages
    ci/swift build {{ swift_tests }} --build-tests
    ci/swift test {{ swift_tests }} --skip-build "$@"

# Swift's tests under the thread sanitiser
[group('check')]
test-swift-threads *arguments:
    ci/link-packages
    ci/swift build --build-tests --disable-swift-testing --sanitize=thread --scratch-path .build/threads
    ci/swift test --skip-build --disable-swift-testing --sanitize=thread --scratch-path .build/threads "$@"

# Feed Swift's readers of audio files and packages so many mutations each, under the address sanitiser
[group('check')]
fuzz-swift mutations="10000":
    ci/link-packages
    ci/swift build --build-tests --disable-swift-testing --sanitize=address --scratch-path .build/addresses
    HTDEMUCS_MUTATIONS="$1" ASAN_OPTIONS=detect_leaks=0 ci/swift test --skip-build --disable-swift-testing \
      --sanitize=address --scratch-path .build/addresses --filter Mutation

# Feed Python's own parsers so many inputs, all or the named ones; on x86-64 Linux
[group('check')]
fuzz-py executions="1000000" *targets:
    {{ develop }} bash -c 'cd py && python -m fuzz run --state "$1" --executions "$2" "${@:3}"' fuzz "{{ state }}/fuzz" "$@"

# Run one input through a target of fuzz-py, such as one that failed
[group('check')]
[no-cd]
fuzz-py-input target input:
    @nix develop {{ quietly }} {{ override }} {{ root }} --command \
      bash -c 'PYTHONPATH="{{ root }}/py:{{ root }}/py/src" python -m fuzz input "$@"' fuzz "$@"

# Build the kit and the example app with Xcode, for macOS and the iOS simulator (macOS only)
[group('check')]
build-apple:
    ci/build-apple

# Build every pinned artefact, compared with goldens/lock.json, and the checks that hang on packages
[group('check')]
check-lock:
    nix flake check {{ override }} --print-build-logs

# Fail if anything that goes into a cache or a release is built from published weights
[group('check')]
check-redistribution:
    {{ develop }} ci/check-redistribution

# Convert again under other clocks, users, paths, threads, CPUs, …, and compare the bytes (Linux; minutes; --quick: a small model)
[group('check')]
repro *arguments:
    {{ develop }} bash -c 'PYTHONPATH="$PYTHONPATH:py:py/tests" python -m repro run "$@"' repro "$@"

# Print what `repro --json FILE` wrote as the table of docs/reproducibility.md
[group('check')]
repro-table file:
    @{{ develop }} bash -c 'PYTHONPATH="$PYTHONPATH:py:py/tests" python -m repro table "$1"' repro-table "$1"

# Install with pip alone, as the README says under "Without Nix", and use what is installed; with this Python 3.11
[group('check')]
check-pip python="python3.11":
    ci/check-pip "$1"

# Time the interpreter and the Swift tool against PyTorch, conversion against coremltools; options (--runs, --threads) go to each
[group('check')]
bench *arguments:
    {{ with_packages }} {{ develop }} python py/bench/bench.py "$@"
    {{ develop }} python py/bench/conversion_bench.py "$@"
    {{ develop }} python py/bench/swift_bench.py --tool "$(just build-swift | tail -n 1)" "$@"

# Separate an hour of FLAC beside 3 minutes of it and compare the memory; options go to py/bench/memory_bench.py
[group('check')]
bench-memory *arguments:
    {{ develop }} bash -c 'PYTHONPATH="$PYTHONPATH:py/tests" python py/bench/memory_bench.py "$@"' bench-memory "$@"

# Time the Swift tool under each choice of compute units, into a folder of JSON; options go to `htdemucs bench`
[group('check')]
bench-compute-units folder *arguments:
    ci/bench-compute-units "$@"

# Compare every stem of a song (stereo, 44.1 kHz) with PyTorch, under both chunk plans; `--variant float32` runs those packages
[group('check')]
parity song *arguments:
    {{ with_packages }} {{ develop }} python py/bench/parity.py "$@"

# Compare every stem of the Swift tool with the Python tool's and with demucs' own, of a song or of one made for it
[group('check')]
parity-swift *arguments:
    {{ with_packages }} {{ develop }} python py/bench/swift_parity.py --tool "$(just build-swift | tail -n 1)" "$@"

# Measure every variant's 7.8 s package of the fixture and compare with docs/fidelity.toml and with the bars (minutes)
[group('check')]
fidelity:
    {{ develop }} ci/measure-fidelity check

# Compute the goldens anew and compare them with goldens/small
[group('check')]
check-goldens:
    {{ develop }} python -m htdemucs_coreml.goldens check goldens/small "$(just build goldens | tail -n 1)"

# Measure the packages that have changed since, and write docs/fidelity.toml and docs/fidelity.md (minutes)
[group('change')]
update-fidelity:
    {{ develop }} ci/measure-fidelity update

# Compute the goldens anew and write them into goldens/small, and their index into the lock
[group('change')]
update-goldens:
    {{ develop }} bash -c 'python py/goldens/small.py goldens/small && python -m htdemucs_coreml.cli.lock update \
      --name goldens.small --lock goldens/lock.json --contents goldens/contents goldens/small/manifest.json'

# Record the bytes that the present code gives in goldens/lock.json: of the fixture, of another model, or of the songs
[group('change')]
relock model="fixture":
    {{ develop }} ci/relock "$1"

# Derive the plan `mixed` from measurements on the fixture (minutes); the file that comes with the package is replaced
[group('change')]
derive-mixed output=(root / "py/src/htdemucs_coreml/precision/plans/mixed.toml"):
    {{ develop }} python -m htdemucs_coreml.fidelity.derivation -o "$1"

# Train nano in a folder, or continue the run that is there (hours; docs/training.md); options go to `python -m training run`
[group('change')]
train-nano folder=(state / "nano") *options:
    {{ develop }} env {{ keep_memory }} PYTHONPATH="{{ root }}/py:{{ root }}/py/src" python -m training run "$@"

# Write the averaged weights of a run's state as a safetensors file; options go to `python -m training export`
[group('change')]
export-nano state weights *options:
    {{ develop }} env PYTHONPATH="{{ root }}/py:{{ root }}/py/src" python -m training export "$@"

# Score trained weights, a file of export-nano, on held-out songs (minutes); options go to `python -m training evaluate`
[group('check')]
evaluate-nano weights *options:
    {{ develop }} env {{ keep_memory }} PYTHONPATH="{{ root }}/py:{{ root }}/py/src" python -m training evaluate "$@"

# Derive the plan `budget20` from measurements on the fixture (minutes); the file that comes with the package is replaced
[group('change')]
derive-budget20 output=(root / "py/src/htdemucs_coreml/compress/plans/budget20.toml"):
    {{ develop }} python -m htdemucs_coreml.fidelity.budget --budget 20MB -o "$1"

# Measure on the fixture what precision plans were tried, and write docs/precision-studies.md (minutes)
[group('change')]
study-precision output=(root / "docs/precision-studies.md"):
    {{ develop }} python -m htdemucs_coreml.fidelity.study_measurement -o "$1"

# A shell in the development environment
[group('change')]
shell:
    nix develop {{ override }}

# Resolve Python's dependencies and rewrite nix/locks; what is locked stays, unless --upgrade or --upgrade-package NAME is given
[group('change')]
relock-wheels *arguments:
    {{ develop }} nix/relock-wheels "$@"

# Format Python, Nix and Swift
[group('change')]
fmt:
    {{ develop }} bash -c 'cd py && ruff check --select I --fix && ruff format'
    nix fmt {{ override }}
    ci/swift format --in-place --recursive swift Package.swift
