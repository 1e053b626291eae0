#if os(Linux)
  import CoreML
  import Glibc
  import XCTest

  /// What the stand-in for `MLModel` promises of its child process, with children that misbehave on purpose.
  final class InterpreterProcessTests: XCTestCase {
    private var child: ScriptedInterpreter!

    override func setUpWithError() throws { child = try ScriptedInterpreter() }

    override func tearDown() { child.remove() }

    // MARK: - Where the interpreter is

    func testAnInterpreterThatIsNoneIsNamedWithTheVariable() async throws {
      for path in ["/nonexistent/interpreter", child.folder.path] {
        setenv(ScriptedInterpreter.variable, path, 1)
        let error = await message { try await child.load() }
        XCTAssertTrue(error.contains(path) && error.contains(ScriptedInterpreter.variable), error)
      }
    }

    func testTheInterpreterLiesInAFolderAboveTheProgram() throws {
      try child.install("exit 0")
      let interpreter = child.folder.appendingPathComponent("htdemucs-interpreter")
      try FileManager.default.moveItem(at: child.folder.appendingPathComponent("interpreter"), to: interpreter)
      let program = child.folder.appendingPathComponent("release/deeper/htdemucs")
      XCTAssertEqual(try InterpreterLocation.path(variable: nil, program: program), interpreter.path)
      XCTAssertEqual(try InterpreterLocation.path(variable: "/bin/sh", program: program), "/bin/sh")
    }

    func testWithoutAnInterpreterTheErrorSaysWhatToDo() {
      let program = URL(fileURLWithPath: "/nonexistent/htdemucs")
      XCTAssertThrowsError(try InterpreterLocation.path(variable: nil, program: program)) {
        XCTAssertTrue($0.localizedDescription.contains("just build-swift"), $0.localizedDescription)
        XCTAssertTrue($0.localizedDescription.contains(ScriptedInterpreter.variable), $0.localizedDescription)
      }
    }

    func testAnInterpreterThatIsNoExecutableFormatIsAnError() async throws {
      let path = child.folder.appendingPathComponent("text")
      try Data("no program".utf8).write(to: path)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path.path)
      setenv(ScriptedInterpreter.variable, path.path, 1)
      let error = await message { try await child.load() }
      XCTAssertTrue(error.contains(path.path), error)
    }

    // MARK: - Ends

    func testAnEndWithoutAReplySaysHow() async throws {
      for (end, words) in [("exit 3", "exit status 3"), ("kill -9 $$", "signal 9"), ("kill -11 $$", "signal 11")] {
        let model = try await child.load(onRequest: end)
        let error = await message { try await model.prediction(from: inputs()) }
        XCTAssertTrue(error.contains(words), error)
      }
    }

    func testAnEndBeforeReadySaysHow() async throws {
      try child.install("exit 4")
      let error = await message { try await child.load() }
      XCTAssertTrue(error.contains("exit status 4"), error)
    }

    func testTheNextPredictionAfterAnEndStartsAnother() async throws {
      let model = try await child.load(onRequest: "if mkdir $0.once 2>/dev/null; then exit 3; fi; reply")
      let first = try XCTUnwrap(model.interpreterProcessIdentifier)
      _ = await message { try await model.prediction(from: inputs()) }
      XCTAssertTrue(isGone(first))
      try await assertPredicts(model)
      XCTAssertNotEqual(model.interpreterProcessIdentifier, first)
    }

    func testAProcessThatIsKilledDuringAPredictionIsAnErrorOfThatPredictionOnly() async throws {
      nonisolated(unsafe) let model = try await child.load(
        onRequest: "if mkdir $0.once 2>/dev/null; then exec sleep 20; fi; reply")
      let process = try XCTUnwrap(model.interpreterProcessIdentifier)
      let prediction = Task { await message { try await model.prediction(from: inputs()) } }
      try await child.waitForFile("once")
      kill(process, SIGKILL)
      let error = await prediction.value
      XCTAssertTrue(error.contains("signal 9"), error)
      try await assertPredicts(model)
    }

    func testAProcessThatEndedBetweenPredictionsIsReplacedWithoutAnError() async throws {
      let model = try await child.load(onRequest: "reply; exit 0")
      for _ in 0..<3 {
        try await assertPredicts(model)
        try await Task.sleep(for: .milliseconds(100))
      }
    }

    func testTheProcessEndsWithTheModelAndLeavesNoZombie() async throws {
      func processOfAModel() async throws -> Int32? {
        try await child.load(onRequest: "reply").interpreterProcessIdentifier
      }
      let started = try await processOfAModel()
      let process = try XCTUnwrap(started)
      try await eventually("the process is gone") { isGone(process) }
    }

    func testNothingOfAProcessIsLeftAfterAnyEnd() async throws {
      let before = try descriptors(of: getpid()).count
      for end in ["reply", "exit 3", "say '{}'", "exec sleep 20"] {
        nonisolated(unsafe) let model = try await child.load(onRequest: end)
        let prediction = Task { _ = try? await model.prediction(from: inputs()) }
        try await Task.sleep(for: .milliseconds(100))
        prediction.cancel()
        await prediction.value
      }
      try await eventually("descriptors are closed") { try descriptors(of: getpid()).count == before }
      // Another process that waits for "any child" would find none.
      XCTAssertEqual(waitpid(-1, nil, WNOHANG), -1)
      XCTAssertEqual(errno, ECHILD)
    }

    func testAProcessDoesNotHoldTheStreamOfAnother() async throws {
      let before = try descriptors(of: getpid())
      let first = try await child.load(onRequest: "reply")
      let stream = Set(try descriptors(of: getpid()).values).subtracting(before.values)
      let second = try await child.load(onRequest: "reply")
      let theirs = try descriptors(of: XCTUnwrap(second.interpreterProcessIdentifier)).values
      XCTAssertEqual(stream.count, 1)
      XCTAssertTrue(stream.isDisjoint(with: theirs))
      withExtendedLifetime((first, second)) {}
    }

    func testADeadProcessRaisesNoSignalInTheHost() async throws {
      // It reads nothing and ends while megabytes are on their way.
      let ready = ScriptedInterpreter.ready(shape: [1 << 20])
      try child.install("\(ready)\nsleep 0.2; exit 3")
      let model = try await child.load()
      let values = ["x": try SmallModel.multiArray(of: [1 << 20])]
      let error = await message {
        try await model.prediction(from: MLDictionaryFeatureProvider(dictionary: values))
      }
      XCTAssertTrue(error.contains("exit status 3"), error)
    }

    // MARK: - Cancellation

    func testCancellationThrowsAtOnceAndEndsTheProcess() async throws {
      nonisolated(unsafe) let model = try await child.load(
        onRequest: "if mkdir $0.once 2>/dev/null; then exec sleep 20; fi; reply")
      let process = try XCTUnwrap(model.interpreterProcessIdentifier)
      let prediction = Task { _ = try await model.prediction(from: inputs()) }
      try await child.waitForFile("once")
      let start = ContinuousClock.now
      prediction.cancel()
      await assertThrowsError(try await prediction.value) { XCTAssertTrue($0 is CancellationError, "\($0)") }
      XCTAssertLessThan(ContinuousClock.now - start, .seconds(1))
      try await eventually("the process ends") { isGone(process) }
      try await assertPredicts(model)
    }

    func testAPredictionThatWaitsIsCancelledWithoutHarmToTheOneThatRuns() async throws {
      nonisolated(unsafe) let model = try await child.load(
        onRequest: "touch $0.begun; until test -e $0.go; do sleep 0.01; done; reply")
      let process = model.interpreterProcessIdentifier
      let running = Task { try await assertPredicts(model) }
      try await child.waitForFile("begun")
      let waiting = Task { _ = try await model.prediction(from: inputs()) }
      try await Task.sleep(for: .milliseconds(50))
      waiting.cancel()
      await assertThrowsError(try await waiting.value) { XCTAssertTrue($0 is CancellationError, "\($0)") }
      try Data().write(to: child.file("go"))
      try await running.value
      XCTAssertEqual(model.interpreterProcessIdentifier, process)
      try await assertPredicts(model)
      XCTAssertEqual(model.interpreterProcessIdentifier, process)
    }

    func testATaskThatIsCancelledAlreadyDoesNotPredict() async throws {
      nonisolated(unsafe) let model = try await child.load(onRequest: "touch $0.begun; reply")
      let prediction = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        _ = try await model.prediction(from: inputs())
      }
      await assertThrowsError(try await prediction.value) { XCTAssertTrue($0 is CancellationError, "\($0)") }
      XCTAssertFalse(FileManager.default.fileExists(atPath: child.file("begun").path))
    }

    func testLoadingCanBeCancelled() async throws {
      try child.install("touch $0.begun; exec sleep 20")
      let loading = Task { [child] in _ = try await child?.load() }
      try await child.waitForFile("begun")
      loading.cancel()
      await assertThrowsError(try await loading.value) { XCTAssertTrue($0 is CancellationError, "\($0)") }
      try await eventually("the process ends") { waitpid(-1, nil, WNOHANG) == -1 }
    }

    // MARK: - Order

    func testConcurrentPredictionsAreServedOneAfterAnother() async throws {
      nonisolated(unsafe) let model = try await child.load(
        onRequest: "mkdir $0.busy || exit 5; sleep 0.02; rmdir $0.busy; reply")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 { group.addTask { try await assertPredicts(model) } }
        try await group.waitForAll()
      }
    }

    func testWaitingForProcessesHoldsUpNoThreadOfThePool() async throws {
      nonisolated(unsafe) var models: [MLModel] = []
      let count = ProcessInfo.processInfo.activeProcessorCount + 2
      let go = child.file("go")
      for _ in 0..<count {
        models.append(try await child.load(onRequest: "until test -e $0.go; do sleep 0.01; done; reply"))
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<count { group.addTask { try await assertPredicts(models[index]) } }
        // Runs although all predictions wait for it.
        group.addTask { try Data().write(to: go) }
        try await group.waitForAll()
      }
    }

    // MARK: - Replies

    func testAnErrorOfTheInterpreterIsTheMessage() async throws {
      let model = try await child.load(onRequest: #"say '{"error": "x is too loud"}'"#)
      let process = model.interpreterProcessIdentifier
      let error = await message { try await model.prediction(from: inputs()) }
      XCTAssertEqual(error, "x is too loud")
      XCTAssertEqual(model.interpreterProcessIdentifier, process)
    }

    func testAPackageThatIsRefusedIsTheMessage() async throws {
      try child.install(#"say '{"error": "no such operation"}'; exit 1"#)
      let error = await message { try await child.load() }
      XCTAssertEqual(error, "no such operation")
    }

    func testRepliesThatAreNotOfTheProtocolAreErrorsOfThatPredictionOnly() async throws {
      let reply = ScriptedInterpreter.reply
      let replies = [
        "printf 'garbage garbage'", "say 'no JSON'", "say '{}'", #"say '{"outputs": []}'"#,
        reply.replacingOccurrences(of: #""y""#, with: #""z""#),
        reply.replacingOccurrences(of: "[2, 3]", with: "[3, 2]"),
        reply.replacingOccurrences(of: "float32", with: "int32"),
        reply.replacingOccurrences(of: #""bytes": 28"#, with: #""bytes": 27"#),
        reply.replacingOccurrences(of: #""bytes": 28"#, with: #""bytes": -1"#),
        reply.replacingOccurrences(of: "[4, 1]", with: "[4, 2]"),
        reply.replacingOccurrences(of: "[4, 1]", with: "[-4, 1]"),
        reply.replacingOccurrences(of: "[4, 1]", with: "[4611686018427387904, 1]"),
        reply.replacingOccurrences(of: "[4, 1]", with: "[1]"),
      ]
      for (index, wrong) in replies.enumerated() {
        let model = try await child.load(onRequest: "if mkdir $0.\(index) 2>/dev/null; then \(wrong); else reply; fi")
        let error = await message { try await model.prediction(from: inputs()) }
        XCTAssertTrue(error.contains("protocol"), "\(wrong): \(error)")
        try await assertPredicts(model)
      }
    }
  }
#endif
