import Foundation
import HTDemucsKit
import os

/// What a progress bar shows.
struct ProgressState: Equatable, Sendable {
  /// Name of what is worked on; any text.
  var title: String
  var segmentsDone = 0
  /// 0 before it is known.
  var segmentsTotal = 0
  var elapsedSeconds = 0.0
  /// Nil before it can be said.
  var remainingSeconds: Double?

  /// The bar's text, at most `columns` wide; what has no room is left out: words first, then the bar, then the title.
  func text(columns: Int) -> String {
    let title = printable(title)
    for figures in segmentsTotal > 0 ? figures.dropLast() : [] {
      let room = columns - displayColumns(figures) - 4
      guard room >= Self.leastTitle + Self.leastBar else { continue }
      let shownTitle = shortened(title, toColumns: max(room - Self.usualBar, Self.leastTitle))
      return "\(shownTitle)  \(bar(columns: min(room - displayColumns(shownTitle), Self.usualBar)))  \(figures)"
    }
    for figures in figures {
      let room = columns - displayColumns(figures) - 2
      if room >= Self.leastTitle { return "\(shortened(title, toColumns: room))  \(figures)" }
    }
    return shortened(figures[figures.count - 1], toColumns: columns)
  }

  private static let leastTitle = 8
  private static let leastBar = 10
  private static let usualBar = 32

  /// What is said in figures, from the longest to the shortest.
  private var figures: [String] {
    let elapsed = clockTime(elapsedSeconds)
    guard segmentsTotal > 0 else { return ["preparing  \(elapsed) elapsed", "preparing"] }
    let count = "\(segmentsDone)/\(segmentsTotal)"
    let remaining = remainingSeconds.map(clockTime) ?? "?"
    return [
      "\(count) segments  \(elapsed) elapsed  \(remaining) left", "\(count)  \(elapsed)  \(remaining) left",
      "\(count)  \(remaining) left", count,
    ]
  }

  private func bar(columns: Int) -> String {
    let inner = columns - 2
    let filled = inner * min(segmentsDone, segmentsTotal) / max(segmentsTotal, 1)
    return "[\(String(repeating: "#", count: filled))\(String(repeating: "-", count: inner - filled))]"
  }
}

/// Seconds as `m:ss` or `h:mm:ss`.
func clockTime(_ seconds: Double) -> String {
  let whole = Int(max(seconds, 0).rounded())
  let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
  return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
}

/// A line on a terminal that is drawn anew for each segment and every second, and gone when it ends.
final class ProgressBar: SongProgress {
  private struct Shown {
    var state: ProgressState
    /// When `remainingSeconds` was estimated.
    var estimated: ContinuousClock.Instant
    var hasEnded = false
  }

  private let output: any TextOutput
  private let started = ContinuousClock().now
  private let shown: OSAllocatedUnfairLock<Shown>
  private let ticking: OSAllocatedUnfairLock<Task<Void, Never>?>

  init(title: String, on output: any TextOutput) {
    self.output = output
    shown = OSAllocatedUnfairLock(initialState: Shown(state: ProgressState(title: title), estimated: started))
    ticking = OSAllocatedUnfairLock(initialState: nil)
    let task = Task.detached { [weak self] in
      while let self, self.draw(), (try? await Task.sleep(for: .seconds(1))) != nil {}
    }
    ticking.withLock { $0 = task }
  }

  func update(_ progress: SeparationProgress) {
    shown.withLock {
      $0.state.segmentsDone = progress.segmentsDone
      $0.state.segmentsTotal = progress.segmentsTotal
      $0.state.remainingSeconds = progress.remainingSeconds
      $0.estimated = ContinuousClock().now
    }
    draw()
  }

  func end() {
    ticking.withLock { $0?.cancel() }
    shown.withLock {
      $0.hasEnded = true
      try? output.write(Self.clearedLine)
    }
  }

  /// To the line's start, and the rest of the line cleared (ECMA-48: EL).
  private static let clearedLine = "\r\u{1B}[K"

  /// Draws the line, unless the bar has ended.
  @discardableResult
  private func draw() -> Bool {
    shown.withLock {
      guard !$0.hasEnded else { return false }
      let now = ContinuousClock().now
      var state = $0.state
      state.elapsedSeconds = (now - started).seconds
      let sinceEstimate = (now - $0.estimated).seconds
      state.remainingSeconds = state.remainingSeconds.map { max(0, $0 - sinceEstimate) }
      // A line that fills the last column would wrap.
      try? output.write(Self.clearedLine + state.text(columns: (output.columns ?? 80) - 1))
      return true
    }
  }
}
