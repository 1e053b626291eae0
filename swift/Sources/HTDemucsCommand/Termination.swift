import Foundation
import os

/// Signals that end the tool cancel its work, so that whatever is partial is removed on the way out.
package final class Termination: Sendable {
  /// The signals that are watched.
  package enum Signal: Int32, CaseIterable, Sendable {
    case hangup = 1
    case interrupt = 2
    case terminate = 15

    /// As systems call it.
    package var name: String {
      switch self {
      case .hangup: "SIGHUP"
      case .interrupt: "SIGINT"
      case .terminate: "SIGTERM"
      }
    }

    /// What shells expect of a process that a signal ended.
    package var exitCode: Int32 { 128 + rawValue }
  }

  private struct State {
    var signal: Signal?
    var end: (@Sendable () -> Void)?
  }

  private let state = OSAllocatedUnfairLock(initialState: State())

  /// No signal so far.
  package init() {}

  /// The first signal that came.
  package var signal: Signal? { state.withLock { $0.signal } }

  /// Takes note of signals from now on.
  ///
  /// Those that are ignored already, as by `nohup`, stay ignored.
  ///
  /// - Returns: What watches, as long as it is kept.
  package func watchSignals() -> [any DispatchSourceSignal] {
    Signal.allCases.filter { !Self.isIgnored($0) }.map { each in
      let source = DispatchSource.makeSignalSource(signal: each.rawValue, queue: .global())
      source.setEventHandler { [self] in receive(each) }
      source.activate()
      return source
    }
  }

  /// Calls `end` on the first signal, at once if it came already.
  ///
  /// Further ones are ignored, so that nobody's second Ctrl-C leaves half of a clean-up.
  package func whenSignalled(_ end: @escaping @Sendable () -> Void) {
    let hasEnded = state.withLock {
      if $0.signal == nil { $0.end = end }
      return $0.signal != nil
    }
    if hasEnded { end() }
  }

  /// Takes note of a signal.
  func receive(_ received: Signal) {
    let end = state.withLock { state -> (@Sendable () -> Void)? in
      guard state.signal == nil else { return nil }
      state.signal = received
      return state.end
    }
    end?()
  }

  /// Whether a signal is ignored; if not, the system's own action is turned off, as dispatch asks for.
  private static func isIgnored(_ number: Signal) -> Bool {
    let previous = Foundation.signal(number.rawValue, SIG_IGN)
    return unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
