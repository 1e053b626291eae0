import Foundation
import Glibc
import os

/// The project's interpreter of packages in a child process: one package, one stream.
///
/// One thread at a time may use the stream and `end`; any thread may `kill` meanwhile.
final class InterpreterProcess: Sendable {
  let identifier: pid_t
  let stream: InterpreterStream
  private let exit = OSAllocatedUnfairLock<Exit?>(initialState: nil)

  /// How a process ended.
  enum Exit: Sendable, CustomStringConvertible {
    case status(Int32)
    case signal(Int32)
    /// Somebody else took the status, or the host ignores SIGCHLD.
    case unknown

    init(waitStatus: Int32) {
      let signal = waitStatus & 0x7F
      self = signal == 0 ? .status(waitStatus >> 8 & 0xFF) : .signal(signal)
    }

    var description: String {
      switch self {
      case .status(let status): "exit status \(status)"
      case .signal(let signal): "signal \(signal)"
      case .unknown: "an unknown status"
      }
    }
  }

  /// Starts the interpreter for a package.
  ///
  /// - Parameters:
  ///   - executable: The interpreter.
  ///   - package: The package's path.
  /// - Throws: An `NSError` if it cannot be started.
  init(executable: String, package: String) throws {
    var sockets: [Int32] = [-1, -1]
    // Closed on exec: another child must not keep this one's stream open.
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &sockets) == 0 else {
      throw Self.startError(executable, errno)
    }
    stream = InterpreterStream(descriptor: sockets[0])
    defer { close(sockets[1]) }
    do {
      identifier = try Self.spawn([executable, package], stream: sockets[1])
    } catch {
      close(sockets[0])
      throw error
    }
  }

  deinit {
    end(atOnce: true)
    close(stream.descriptor)
  }

  private static func startError(_ executable: String, _ code: Int32) -> NSError {
    modelError(.generic, "the interpreter \(executable) cannot be started: \(String(cString: strerror(code)))")
  }

  private static func spawn(_ arguments: [String], stream: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, stream, STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, stream, STDOUT_FILENO)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Threads of dispatch queues block signals, and a child would inherit that.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
    let argv = arguments.map { strdup($0) } + [nil]
    let envp = environment.map { strdup($0) } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var identifier: pid_t = 0
    let code = posix_spawn(&identifier, arguments[0], &actions, &attributes, argv, envp)
    guard code == 0 else { throw startError(arguments[0], code) }
    return identifier
  }

  /// Whether it has ended, by itself or not.
  var hasEnded: Bool { exit.withLock { reap(&$0, options: WNOHANG) } }

  /// Kills it, if it has not ended; the stream then ends, too.
  func kill() {
    exit.withLock {
      // Until its status is taken, no other process has its identifier.
      if $0 == nil { _ = Glibc.kill(identifier, SIGKILL) }
    }
  }

  /// Waits for the end.
  ///
  /// - Parameter atOnce: Kill it rather than letting it come to its own end for a moment.
  /// - Returns: How it ended.
  @discardableResult
  func end(atOnce: Bool) -> Exit {
    let alreadyEnded = exit.withLock { $0 }
    if let alreadyEnded { return alreadyEnded }
    if !atOnce {
      for _ in 0..<200 where !hasEnded { usleep(5000) }
    }
    return exit.withLock {
      if !reap(&$0, options: WNOHANG) {
        _ = Glibc.kill(identifier, SIGKILL)
        _ = reap(&$0, options: 0)
      }
      return $0 ?? .unknown
    }
  }

  /// Takes the status, if it has ended; with options 0, waits for that.
  private func reap(_ exit: inout Exit?, options: Int32) -> Bool {
    if exit != nil { return true }
    while true {
      var status: Int32 = 0
      let result = waitpid(identifier, &status, options)
      if result == 0 { return false }
      if result < 0, errno == EINTR { continue }
      exit = result < 0 ? .unknown : Exit(waitStatus: status)
      return true
    }
  }
}
