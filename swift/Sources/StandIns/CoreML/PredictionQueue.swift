import Foundation
import os

/// The predictions of one model, one after another, through an interpreter that is started when it is needed.
///
/// All waiting for the interpreter happens on a queue of its own, so that no thread of Swift's pool is held up.
final class PredictionQueue: Sendable {
  private let executable: String
  private let package: String
  private let queue = DispatchQueue(label: "htdemucs.CoreML.PredictionQueue")
  private let state = OSAllocatedUnfairLock(initialState: State())

  private struct State {
    var interpreter: InterpreterProcess?
    /// What the interpreter said that the package takes and gives.
    var interface: InterpreterInterface?
    /// The job that is being done now.
    var current: ObjectIdentifier?
    /// Whether the interpreter was killed on purpose.
    var isKilled = false
  }

  init(executable: String, package: String) {
    self.executable = executable
    self.package = package
  }

  /// The child process, if there is one.
  var processIdentifier: Int32? { state.withLock { $0.interpreter?.identifier } }

  /// Starts the interpreter, and gives what the package takes and gives.
  ///
  /// - Throws: An `NSError` if it cannot be started or refuses the package, or `CancellationError`.
  func start() async throws -> InterpreterInterface {
    try await perform { _, interface in interface }
  }

  /// Makes one prediction.
  ///
  /// - Parameter inputs: Every input, as declared.
  /// - Returns: Every output, in the order that the package declares.
  /// - Throws: An `NSError` if the interpreter fails, or `CancellationError`.
  func predict(_ inputs: [InterpreterInput]) async throws -> [InterpreterOutput] {
    try await perform { interpreter, interface in
      try interpreter.stream.send(inputs)
      let reply = try interpreter.stream.receiveReply()
      if let message = reply.error { throw modelError(.generic, message) }
      guard let outputs = reply.outputs, outputs.count == interface.outputs.count else {
        throw InterpreterStreamError.malformed("a reply does not have the outputs that the package declares")
      }
      return try zip(outputs, interface.outputs).map {
        try interpreter.stream.receiveOutput($0, declared: $1)
      }
    }
  }

  /// Does something with the interpreter when its turn comes.
  ///
  /// A task that is cancelled does not wait for it: it goes on at once, and if its turn has come, the interpreter is killed.
  private func perform<Result: Sendable>(
    _ body: @escaping @Sendable (InterpreterProcess, InterpreterInterface) throws -> Result
  ) async throws -> Result {
    let job = Job<Result>()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard job.wait(continuation) else { return }
        queue.async { self.execute(job, body) }
      }
    } onCancel: {
      job.finish(.failure(CancellationError()))
      stop(job)
    }
  }

  private func stop<Result>(_ job: Job<Result>) {
    state.withLock {
      guard $0.current == ObjectIdentifier(job) else { return }
      $0.isKilled = true
      $0.interpreter?.kill()
    }
  }

  private func execute<Result>(
    _ job: Job<Result>, _ body: (InterpreterProcess, InterpreterInterface) throws -> Result
  ) {
    state.withLock { $0.current = ObjectIdentifier(job) }
    defer { state.withLock { $0.current = nil } }
    guard !job.isFinished else { return }
    do {
      let (interpreter, interface) = try readyInterpreter()
      guard !job.isFinished else { return }
      job.finish(.success(try body(interpreter, interface)))
    } catch let error as InterpreterStreamError {
      job.finish(.failure(retire(after: error)))
    } catch {
      job.finish(.failure(error))
    }
  }

  /// The interpreter, started anew if there is none or it has ended.
  private func readyInterpreter() throws -> (InterpreterProcess, InterpreterInterface) {
    let (present, interface, isKilled) = state.withLock { ($0.interpreter, $0.interface, $0.isKilled) }
    if let present, let interface, !isKilled, !present.hasEnded { return (present, interface) }
    discard()?.end(atOnce: true)

    let interpreter = try InterpreterProcess(executable: executable, package: package)
    state.withLock {
      $0.interpreter = interpreter
      if $0.isKilled { interpreter.kill() }
    }
    let reply = try interpreter.stream.receiveReply()
    if let message = reply.error {
      discard()?.end(atOnce: false)
      throw modelError(.io, message)
    }
    guard let ready = reply.ready else {
      throw InterpreterStreamError.malformed("the first message is neither ready nor an error")
    }
    state.withLock { $0.interface = ready }
    return (interpreter, ready)
  }

  private func discard() -> InterpreterProcess? {
    state.withLock { state in
      defer { (state.interpreter, state.interface, state.isKilled) = (nil, nil, false) }
      return state.interpreter
    }
  }

  /// Gives up the interpreter, and says what happened to it.
  private func retire(after error: InterpreterStreamError) -> NSError {
    let interpreter = discard()
    switch error {
    case .closed:
      let exit = interpreter?.end(atOnce: false) ?? .unknown
      return modelError(.generic, "the interpreter ended with \(exit) and no reply; the next prediction starts another")
    case .malformed(let reason):
      interpreter?.end(atOnce: true)
      return modelError(.generic, "the interpreter does not keep to the protocol: \(reason)")
    }
  }
}

/// Something to be done, and the task that waits for it.
private final class Job<Result: Sendable>: Sendable {
  private enum State {
    case new
    case awaited(CheckedContinuation<Result, any Error>)
    case finished
  }

  private let state = OSAllocatedUnfairLock(initialState: State.new)

  var isFinished: Bool {
    state.withLock {
      if case .finished = $0 { true } else { false }
    }
  }

  /// Takes the task that waits; false if the job is cancelled already, and the task goes on.
  func wait(_ continuation: CheckedContinuation<Result, any Error>) -> Bool {
    let isNew = state.withLock {
      guard case .new = $0 else { return false }
      $0 = .awaited(continuation)
      return true
    }
    if !isNew { continuation.resume(throwing: CancellationError()) }
    return isNew
  }

  /// Ends the job; only the first result counts.
  func finish(_ result: Swift.Result<Result, any Error>) {
    let continuation: CheckedContinuation<Result, any Error>? = state.withLock { state in
      defer { state = .finished }
      if case .awaited(let continuation) = state { return continuation }
      return nil
    }
    continuation?.resume(with: result)
  }
}
