#if os(Linux)
  import Foundation
  import XCTest

  /// Disks that are full, and folders that are not to be written to, in a mount namespace of the test's own.
  final class FullDiskTests: ProgramTestCase {
    func testAFullDiskIsToldAndNothingPartialRemains() throws {
      try song(seconds: 1)
      // A stem of float32 takes 345 KiB, its spool as much; six spools fit the larger disk, and no stem beside them.
      for (options, sizes) in [
        ([], [8, 300, 1000]), (["--int16"], [300, 2200]), (["--flac", "--clip-mode", "none"], [300]),
        (["--flac"], [300, 2200]), (["--clip-mode", "rescale", "--two-stems", "drums"], [800]),
      ] {
        for size in sizes {
          let end = try onDisk("size=\(size)k", ["separate", "song.wav", "-o", "disk/stems", "--quiet"] + options)
          assertFailed(end, "disk/stems/song/", "No space left on device")
          XCTAssertEqual(end.output, "", "remains of \(options) on \(size) KiB")
        }
      }
    }

    func testADiskThatHasRoomTakesTheStems() throws {
      try song(seconds: 1)
      let end = try onDisk("size=8m", ["separate", "song.wav", "-o", "disk/stems", "--quiet"])
      XCTAssertEqual(end.code, 0, end.errors)
      XCTAssertEqual(
        end.output.split(separator: "\n").sorted(),
        (["disk/stems"] + Self.whole("song").map { "disk/stems/\($0)" }).map { $0[...] })
    }

    func testWhatADiskHeldBeforeItWasFullIsStillThere() throws {
      try song(seconds: 1)
      let end = try onDisk(
        "size=600k", ["separate", "song.wav", "-o", "disk", "--quiet"],
        before: "mkdir disk/song; echo old >disk/song/bass.wav",
        after: "cat disk/song/bass.wav")
      assertFailed(end, "disk/song/", "No space left on device")
      XCTAssertEqual(end.output, "disk/song\ndisk/song/bass.wav\nold\n")
    }

    func testAFullDiskForTheReportIsTold() throws {
      try song()
      let end = try onDisk(
        "size=4k", ["separate", "song.wav", "-o", "stems", "--quiet", "--report", "disk/report.json"],
        before: "head -c 4096 /dev/zero >disk/other")
      assertFailed(end, "disk/report.json cannot be written", "space")
      XCTAssertEqual(end.output, "disk/other\n")
      XCTAssertEqual(contents(of: "stems"), Self.whole("song"))
    }

    func testAReadOnlyDiskIsTold() throws {
      try song()
      for output in ["disk", "disk/new/deep"] {
        let end = try onDisk(
          "size=1m", ["separate", "song.wav", "-o", output, "--quiet"], before: "mount -o remount,ro disk")
        assertFailed(end, "\(output)/song cannot be written", "Read-only file system")
        XCTAssertEqual(end.output, "")
      }
    }

    /// Runs the program with a disk of its own at `disk`; the output then lists what is on the disk.
    private func onDisk(
      _ options: String, _ arguments: [String], before: String = ":", after: String = ":"
    ) throws -> End {
      try FileManager.default.createDirectory(at: url("disk"), withIntermediateDirectories: true)
      let launcher = try mountNamespace()
      let script = """
        mount -t tmpfs -o \(options) tmpfs disk && { \(before); } || exit 99
        "$@"; code=$?
        find disk -mindepth 1 | sort; \(after); exit $code
        """
      return try run(arguments, script: script, launcher: launcher)
    }

    /// What starts a program where it may mount: for root, and for ordinary users where the kernel lets them.
    private func mountNamespace() throws -> [String] {
      var refusals: [String] = []
      for form in [["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"]] {
        let end = try run([], script: "mount -t tmpfs tmpfs disk", launcher: form)
        if end.code == 0 { return form }
        refusals.append(
          "`\(form.joined(separator: " "))`: \(end.errors.split(separator: "\n").joined(separator: ", "))")
      }
      throw NoMountNamespace(refusals: refusals)
    }

    private struct NoMountNamespace: Error, CustomStringConvertible {
      let refusals: [String]
      var description: String {
        "this test mounts a disk of its own, and the system does not let it: \(refusals.joined(separator: "; ")). "
          + "Allow user namespaces (kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0 "
          + "by sysctl), or run the tests as root"
      }
    }
  }
#endif
