#if os(Linux)
  import CoreML
  import Glibc
  import XCTest

  /// A shell script in place of the interpreter, which speaks its protocol as far as it is told to.
  ///
  /// In its commands `$0` is its own path, `take` reads a request, `reply` and `say JSON` answer.
  struct ScriptedInterpreter: Sendable {
    static let variable = "HTDEMUCS_INTERPRETER"

    let folder: URL

    init() throws { folder = try TemporaryFolder().url }

    func remove() {
      unsetenv(Self.variable)
      try? FileManager.default.removeItem(at: folder)
    }

    /// The file that the script knows as `$0.suffix`.
    func file(_ suffix: String) -> URL { folder.appendingPathComponent("interpreter.\(suffix)") }

    func waitForFile(_ suffix: String) async throws {
      try await eventually("\(suffix) exists") { FileManager.default.fileExists(atPath: file(suffix).path) }
    }

    func install(_ body: String) throws {
      let script = folder.appendingPathComponent("interpreter")
      try Data(Self.text(body).utf8).write(to: script)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
      setenv(Self.variable, script.path, 1)
    }

    /// Loads a model of one input `x` and one output `y`, both `[2, 3]`, with a script that does this at every request.
    func load(onRequest commands: String) async throws -> MLModel {
      try install("\(Self.ready(shape: [2, 3]))\nwhile take; do \(commands); done")
      return try await load()
    }

    /// Loads a model whose package no script reads.
    func load() async throws -> MLModel {
      let compiled = folder.appendingPathComponent("none.mlmodelc")
      try FileManager.default.createDirectory(
        at: compiled.appendingPathComponent("model.mlpackage"), withIntermediateDirectories: true)
      return try await MLModel.load(contentsOf: compiled)
    }

    /// Six ones in two rows of three, with something between them.
    static let reply =
      #"say '{"outputs": [{"name": "y", "dtype": "float32", "shape": [2, 3], "strides": [4, 1], "bytes": 28}]}'"#
      + #"; printf '\0\0\200\77\0\0\200\77\0\0\200\77\377\377\377\377\0\0\200\77\0\0\200\77\0\0\200\77'"#

    private static func text(_ body: String) -> String {
      #"""
      #!/usr/bin/env bash
      say() { printf "\\x$(printf %02x ${#1})\\0\\0\\0\\0\\0\\0\\0%s" "$1"; }
      reply() { \#(reply); }
      # The length of a request's JSON, the JSON and two rows of three numbers.
      take() {
        local length
        length=$(head -c 8 2>/dev/null | od -An -N1 -tu1)
        [[ -n $length ]] && head -c $((length + 24)) &>/dev/null
      }
      \#(body)
      """#
    }

    static func ready(shape: [Int]) -> String {
      #"say '{"ready": {"inputs": [{"name": "x", "dtype": "float32", "shape": \#(shape)}],"#
        + #" "outputs": [{"name": "y", "dtype": "float32", "shape": [2, 3]}]}}'"#
    }
  }

  /// The input of a scripted model.
  func inputs() throws -> MLDictionaryFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: ["x": SmallModel.multiArray(of: [2, 3])])
  }

  /// Asserts that a scripted model replies.
  func assertPredicts(_ model: MLModel, line: UInt = #line) async throws {
    let output = try await model.prediction(from: inputs()).featureValue(for: "y")?.multiArrayValue
    let array = try XCTUnwrap(output, line: line)
    XCTAssertEqual(array.strides, [4, 1], line: line)
    XCTAssertEqual(array.floats, [1, 1, 1, 1, 1, 1], line: line)
  }

  /// The message of the error of the framework that a body throws.
  func message<Result>(line: UInt = #line, of body: () async throws -> Result) async -> String {
    do {
      _ = try await body()
      XCTFail("no error", line: line)
      return ""
    } catch {
      XCTAssertEqual((error as NSError).domain, MLModelErrorDomain, "\(error)", line: line)
      return error.localizedDescription
    }
  }

  func eventually(_ what: String, _ holds: () throws -> Bool) async throws {
    for _ in 0..<500 {
      if try holds() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    XCTFail("not in 5 s: \(what)")
  }

  /// Whether a process ended and its status was taken.
  func isGone(_ process: Int32) -> Bool { kill(process, 0) == -1 && errno == ESRCH }

  /// What each descriptor of a process is.
  func descriptors(of process: Int32) throws -> [Int32: String] {
    let folder = "/proc/\(process)/fd"
    var targets: [Int32: String] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      // The descriptor that lists the folder is gone by now.
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)") else {
        continue
      }
      targets[try XCTUnwrap(Int32(name))] = target
    }
    return targets
  }
#endif
