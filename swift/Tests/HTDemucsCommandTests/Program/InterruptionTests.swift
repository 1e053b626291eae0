#if os(Linux)
  import Foundation
  import XCTest

  /// Ends that come from outside.
  final class InterruptionTests: ProgramTestCase {
    func testAnEndAtAnyMomentLeavesNoPartialStem() throws {
      try song(seconds: 20)
      for attempt in 0..<12 {
        let isKilled = attempt % 2 == 0
        let process = try start(["separate", "song.wav", "-o", "deep/stems", "--quiet"])
        usleep(UInt32.random(in: 0..<900_000))
        kill(process.processIdentifier, isKilled ? SIGKILL : SIGTERM)
        let end = try end(of: process)
        let remains = contents(of: "deep/stems")
        switch end.code {
        case 0: XCTAssertEqual(remains, Self.whole("song"))
        case -SIGKILL:
          // The stems appear in one step; what comes before is hidden.
          let visible = remains.filter { !$0.hasPrefix(".htdemucs.") }
          XCTAssertTrue(visible.isEmpty || visible == Self.whole("song"), "\(remains)")
        default:
          // Or the system's own action, in the moments before signals are watched.
          XCTAssertTrue(end.code == 128 + SIGTERM || end.code == -SIGTERM, "\(end)")
          XCTAssertEqual(contents(of: "deep"), [], "\(end)")
        }
        try? FileManager.default.removeItem(at: url("deep"))
      }
    }

    func testStemsAreWholeWhicheverStreamsAreClosed() throws {
      try song()
      for (closed, code): (String, Int32) in [
        ("<&-", 0), ("2>&-", 0), (">&-", 1), ("<&- 2>&-", 0), ("<&- >&- 2>&-", 1),
      ] {
        let end = try run(["separate", "song.wav", "-o", "stems"], script: #"exec "$@" \#(closed)"#)
        XCTAssertEqual(end.code, code, closed)
        XCTAssertEqual(contents(of: "stems"), Self.whole("song"), closed)
        for stem in Self.stems {
          let file = try Data(contentsOf: url("stems/song/\(stem).wav"))
          XCTAssertEqual(file.count, 58 + 8 * 22_050, closed)
          XCTAssertEqual(file.prefix(4), Data("RIFF".utf8), closed)
        }
        try FileManager.default.removeItem(at: url("stems"))
      }
    }

    func testTheNumberOfAClosedStreamIsNotGivenToAnotherFile() throws {
      try song()
      _ = try NoiseInterpreter.install(in: folder, hook: "readlink /proc/$PPID/fd/{0,1,2} >streams")
      _ = try run(["separate", "song.wav", "-o", "stems"], script: #"exec "$@" <&- >&- 2>&-"#)
      XCTAssertEqual(
        try String(contentsOf: url("streams"), encoding: .utf8), String(repeating: "/dev/null\n", count: 3))
    }

    func testAClosedOutputIsTold() throws {
      for arguments in [["--help"], ["--version"]] {
        let end = try run(arguments, script: #"exec "$@" >&-"#)
        assertFailed(end, "standard output cannot be written: Bad file descriptor")
      }
    }

    // MARK: - Interpreters

    func testAnInterpreterThatIsNoneIsTold() throws {
      try song()
      for (script, words) in [
        ("echo this is no message of the protocol", "does not keep to the protocol"), ("exit 3", "exit status 3"),
        ("kill -9 $$", "signal 9"),
      ] {
        try install(script)
        assertFailed(try separate(), "could not be loaded", words)
        XCTAssertEqual(contents(of: "stems"), [])
      }
      let end = try run(
        ["separate", "song.wav", "-o", "stems", "--quiet"], environment: ["HTDEMUCS_INTERPRETER": "/nonexistent"])
      assertFailed(end, "HTDEMUCS_INTERPRETER names /nonexistent, which is no program that can be run. ")
    }

    func testASignalEndsAWaitForAnInterpreterThatHangs() throws {
      try song()
      let hangs = "touch hangs; exec sleep 600"
      try install("cd \"$(dirname \"$0\")\"; trap '' INT TERM; \(hangs)")
      try assertEndsBySignal("while it starts")
      _ = try NoiseInterpreter.install(in: folder, hook: hangs)
      try assertEndsBySignal("while it predicts")
    }

    private func assertEndsBySignal(_ when: String) throws {
      for signal in [SIGINT, SIGTERM] {
        let process = try start(["separate", "song.wav", "-o", "stems", "--quiet"])
        while process.isRunning, !FileManager.default.fileExists(atPath: url("hangs").path) { usleep(5000) }
        try FileManager.default.removeItem(at: url("hangs"))
        kill(process.processIdentifier, signal)
        let end = try end(of: process, within: 5)
        XCTAssertEqual(end.code, 128 + signal, "\(when): \(end)")
        XCTAssertTrue(end.errors.hasSuffix("nothing partial was left behind\n"), end.errors)
        XCTAssertFalse(FileManager.default.fileExists(atPath: url("stems").path), when)
      }
    }

    private func install(_ body: String) throws {
      try Data("#!/usr/bin/env bash\n\(body)\n".utf8).write(to: url("interpreter"))
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url("interpreter").path)
    }

    private func separate() throws -> End { try run(["separate", "song.wav", "-o", "stems", "--quiet"]) }
  }
#endif
