#if os(Linux)
  import Foundation
  import XCTest

  /// Where stems go, when somebody or something is there already.
  final class OutputFolderTests: ProgramTestCase {
    func testAFileInPlaceOfAFolderIsTold() throws {
      try song()
      try Data("kept".utf8).write(to: url("file"))
      for output in ["file", "file/deeper"] {
        assertFailed(try separate(to: output), "\(output)/song cannot be written: Not a directory")
      }
      XCTAssertEqual(try String(contentsOf: url("file"), encoding: .utf8), "kept")
    }

    func testAFolderOfAnotherUserIsTold() throws {
      try song()
      try FileManager.default.createDirectory(at: url("theirs"), withIntermediateDirectories: true)
      try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: url("theirs").path)
      // Permissions do not bind root, so that root becomes somebody else, who may do anything but that.
      let script =
        geteuid() == 0
        ? #"chmod a+rwx .; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@""# : #"exec "$@""#
      let end = try run(
        ["separate", "song.wav", "-o", "theirs", "--quiet"], script: script,
        environment: ["XDG_CACHE_HOME": url("caches").path])
      assertFailed(end, "theirs/song cannot be written: Permission denied")
      XCTAssertEqual(contents(of: "theirs"), [])
    }

    func testALinkToAFolderIsAFolder() throws {
      try song()
      try FileManager.default.createDirectory(at: url("real"), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(atPath: url("link").path, withDestinationPath: "real")
      XCTAssertEqual(try separate(to: "link").code, 0)
      XCTAssertEqual(contents(of: "real"), Self.whole("song"))
    }

    func testALinkToNowhereIsToldAndNotFollowed() throws {
      try song()
      try FileManager.default.createSymbolicLink(atPath: url("link").path, withDestinationPath: "nowhere")
      assertFailed(try separate(to: "link"), "link/song cannot be written: No such file or directory")
      XCTAssertFalse(FileManager.default.fileExists(atPath: url("nowhere").path))
    }

    /// Found before the network runs, and before any other stem is replaced.
    func testAPlaceThatNoStemCanTakeIsToldBeforeAnythingIsComputed() throws {
      try song()
      _ = try NoiseInterpreter.install(in: folder, hook: "touch asked")
      try FileManager.default.createDirectory(at: url("a/song/drums.wav"), withIntermediateDirectories: true)
      try Data("kept".utf8).write(to: url("a/song/bass.wav"))
      try FileManager.default.createDirectory(at: url("b"), withIntermediateDirectories: true)
      try Data("kept".utf8).write(to: url("b/song"))
      assertFailed(try separate(to: "a"), "a/song/drums.wav cannot be written: Is a directory")
      assertFailed(try separate(to: "b"), "b/song cannot be written: Not a directory")
      XCTAssertEqual(contents(of: "a"), ["song", "song/bass.wav", "song/drums.wav"])
      XCTAssertEqual(contents(of: "b"), ["song"])
      XCTAssertEqual(try String(contentsOf: url("a/song/bass.wav"), encoding: .utf8), "kept")
      XCTAssertFalse(FileManager.default.fileExists(atPath: url("asked").path), "the network ran")
    }

    func testALinkInPlaceOfAStemIsReplacedAndItsTargetLeftAlone() throws {
      try song()
      try Data("kept".utf8).write(to: url("precious"))
      try FileManager.default.createDirectory(at: url("stems/song"), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: url("stems/song/drums.wav").path, withDestinationPath: "../../precious")
      XCTAssertEqual(try separate(to: "stems").code, 0)
      XCTAssertEqual(try String(contentsOf: url("precious"), encoding: .utf8), "kept")
      XCTAssertEqual(contents(of: "stems"), Self.whole("song"))
    }

    func testRunsIntoOneFolderAtOnceAllSucceed() throws {
      try song(seconds: 20)
      let processes = try (0..<3).map { _ in
        try start(["separate", "song.wav", "-o", "new/stems", "--quiet"])
      }
      for process in processes {
        let end = try end(of: process)
        XCTAssertEqual(end.code, 0, end.errors)
      }
      XCTAssertEqual(contents(of: "new/stems"), Self.whole("song"))
      for stem in Self.stems {
        let file = url("new/stems/song/\(stem).wav")
        XCTAssertEqual(try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int, 58 + 8 * 882_000)
      }
    }

    private func separate(to output: String) throws -> End {
      try run(["separate", "song.wav", "-o", output, "--quiet"])
    }
  }
#endif
