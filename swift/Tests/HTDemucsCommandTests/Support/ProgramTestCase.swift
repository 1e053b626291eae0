#if os(Linux)
  import Foundation
  import XCTest

  /// Tests that run the program `htdemucs` itself, in a folder of their own, with an interpreter that costs nothing.
  class ProgramTestCase: XCTestCase {
    private(set) var folder: URL!

    /// What a program said, and how it ended.
    struct End {
      /// The exit code, or less than 0 for a signal.
      let code: Int32
      let output: String
      let errors: String
    }

    override func setUpWithError() throws {
      folder = FileManager.default.temporaryDirectory.appending(path: "htdemucs-program-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      _ = try NoiseInterpreter.install(in: folder)
    }

    override func tearDown() { try? FileManager.default.removeItem(at: folder) }

    /// Compiled models, which the tests share.
    private static let caches = FileManager.default.temporaryDirectory
      .appending(path: "htdemucs-program-caches-\(getpid())")

    override class func tearDown() { try? FileManager.default.removeItem(at: caches) }

    // MARK: - Files

    func url(_ name: String) -> URL { folder.appending(path: name) }

    /// Everything below a folder, by path, sorted; nothing if there is no such folder.
    func contents(of name: String) -> [String] {
      ((try? FileManager.default.subpathsOfDirectory(atPath: url(name).path)) ?? []).sorted()
    }

    static let stems = ["bass", "drums", "guitar", "other", "piano", "vocals"]

    /// What is below the folder of outputs when a song was separated.
    static func whole(_ song: String, suffix: String = "wav") -> [String] {
      [song] + stems.map { "\(song)/\($0).\(suffix)" }
    }

    /// A quiet WAV file of 16 bits, stereo, at 44.1 kHz.
    @discardableResult
    func song(_ name: String = "song.wav", seconds: Double = 0.5) throws -> URL {
      let frames = Int(44_100 * seconds)
      let samples = (0..<2 * frames).map { Int16(truncatingIfNeeded: $0 &* 7919 % 2000) }
      return try wav(name, frames: frames, payload: samples.withUnsafeBytes { Data($0) })
    }

    /// A WAV file of any payload.
    @discardableResult
    func wav(
      _ name: String, kind: UInt16 = 1, channels: Int = 2, rate: Int = 44_100, bits: Int = 16, extra: [UInt8] = [],
      frames: Int, payload: Data
    ) throws -> URL {
      func bytes(_ number: some FixedWidthInteger) -> Data { withUnsafeBytes(of: number.littleEndian) { Data($0) } }
      let frameBytes = channels * bits / 8
      var format = bytes(kind) + bytes(UInt16(channels)) + bytes(UInt32(rate)) + bytes(UInt32(rate * frameBytes))
      format += bytes(UInt16(frameBytes)) + bytes(UInt16(bits)) + extra
      let size = UInt32(frames * frameBytes)
      var file = Data("RIFF".utf8) + bytes(UInt32(20 + format.count) + size) + Data("WAVEfmt ".utf8)
      file += bytes(UInt32(format.count)) + format + Data("data".utf8) + bytes(size) + payload
      try file.write(to: url(name))
      return url(name)
    }

    // MARK: - Runs

    /// Runs the program.
    ///
    /// - Parameters:
    ///   - arguments: What follows its name.
    ///   - script: How bash runs it: `"$@"` is program and arguments.
    ///   - launcher: A program, and its arguments, that runs bash.
    ///   - environment: Variables, beside the process's own.
    /// - Returns: How it ended.
    /// - Throws: If it cannot be started.
    func run(
      _ arguments: [String], script: String = #"exec "$@""#, launcher: [String] = [],
      environment: [String: String] = [:]
    ) throws -> End {
      let process = try start(arguments, script: script, launcher: launcher, environment: environment)
      return try end(of: process)
    }

    /// Starts the program, its output and errors going into files.
    func start(
      _ arguments: [String], script: String = #"exec "$@""#, launcher: [String] = [],
      environment: [String: String] = [:]
    ) throws -> Process {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      let program = try builtProgram(besideTestsOf: Self.self).path
      process.arguments = launcher + ["bash", "-c", script, "bash", program] + arguments
      process.currentDirectoryURL = folder
      var variables = ProcessInfo.processInfo.environment
      variables["HTDEMUCS_INTERPRETER"] = url("interpreter").path
      variables["XDG_CACHE_HOME"] = Self.caches.path
      process.environment = variables.merging(environment) { $1 }
      let identifier = UUID().uuidString
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = try log("output", identifier)
      process.standardError = try log("errors", identifier)
      logs[ObjectIdentifier(process)] = identifier
      try process.run()
      return process
    }

    /// Waits for a program's end; one that does not come to it is killed.
    func end(of process: Process, within seconds: Double = 30, line: UInt = #line) throws -> End {
      let deadline = Date.now + seconds
      while process.isRunning, Date.now < deadline { usleep(2000) }
      if process.isRunning {
        XCTFail("htdemucs did not end in \(seconds) s", line: line)
        kill(process.processIdentifier, SIGKILL)
      }
      process.waitUntilExit()
      let isExit = process.terminationReason == .exit
      let identifier = try XCTUnwrap(logs.removeValue(forKey: ObjectIdentifier(process)))
      return End(
        code: isExit ? process.terminationStatus : -process.terminationStatus, output: try text("output", identifier),
        errors: try text("errors", identifier))
    }

    private var logs: [ObjectIdentifier: String] = [:]

    private func log(_ name: String, _ identifier: String) throws -> FileHandle {
      let file = url(".\(name).\(identifier)")
      try Data().write(to: file)
      return try FileHandle(forWritingTo: file)
    }

    private func text(_ name: String, _ identifier: String) throws -> String {
      try String(contentsOf: url(".\(name).\(identifier)"), encoding: .utf8)
    }

    /// Checks that a run failed on an input with one line.
    func assertFailed(_ end: End, _ words: String..., line: UInt = #line) {
      XCTAssertEqual(end.code, 1, end.errors, line: line)
      XCTAssertEqual(end.errors.filter { $0 == "\n" }.count, 1, end.errors, line: line)
      XCTAssertTrue(end.errors.hasPrefix("error: "), end.errors, line: line)
      for word in words { XCTAssertTrue(end.errors.contains(word), "\(end.errors) lacks \(word)", line: line) }
      XCTAssertFalse(end.errors.contains(".htdemucs."), end.errors, line: line)
      XCTAssertFalse(end.errors.contains(".."), end.errors, line: line)
    }
  }
#endif
