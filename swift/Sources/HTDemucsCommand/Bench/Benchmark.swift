import Foundation
import HTDemucsKit

/// What was measured, as a table or as JSON.
struct Benchmark: Sendable {
  /// How often something took how long.
  struct Stage: Sendable {
    let name: String
    let seconds: Distribution
  }

  /// Something that was timed as a whole.
  struct Other: Sendable {
    let name: String
    let seconds: Double
  }

  /// What ran.
  let name: String
  /// Nil where only transforms ran.
  let plan: ChunkPlan.Name?
  let stems: [StemType]
  let audioSeconds: Double
  let wallSeconds: Double
  /// Nil where there was nothing to load.
  var loadSeconds: Double?
  let stages: [Stage]
  /// What happens beside the stages, part of the wall time.
  let others: [Other]
  /// Largest resident size of this process so far, in bytes.
  let peakMemory = peakMemoryBytes()

  /// Time of each stage of a separation, over its segments.
  static func stages(of segments: [SegmentReport]) -> [Stage] {
    [
      Stage(name: "STFT", seconds: Distribution(segments.map(\.transformSeconds))),
      Stage(name: "model", seconds: Distribution(segments.map(\.networkSeconds))),
      Stage(name: "inverse STFT", seconds: Distribution(segments.map(\.inverseSeconds))),
    ]
  }

  /// What was timed neither as a stage nor as something else.
  private var rest: Other {
    let timed = stages.reduce(0) { $0 + $1.seconds.total } + others.reduce(0) { $0 + $1.seconds }
    return Other(name: "everything else", seconds: max(wallSeconds - timed, 0))
  }

  /// Nothing else happens while only stages are timed.
  private var wholes: [Other] { others + (rest.seconds > 0 ? [rest] : []) }

  /// Seconds of audio in one second.
  private var realTimeFactor: Double { audioSeconds / wallSeconds }

  // MARK: - As text

  var table: String {
    let layout = [plan.map { "plan \($0.rawValue)" }, "\(stems.count) stem\(stems.count == 1 ? "" : "s")"].compactMap(
      \.self)
    var lines = ["\(printable(name)), \(layout.joined(separator: ", "))"]
    lines.append(
      Self.fact("audio", "%.1f s in %.3f s: %.1f s of audio a second", audioSeconds, wallSeconds, realTimeFactor))
    if let loadSeconds { lines.append(Self.fact("load", "%.3f s, not counted", loadSeconds)) }
    lines.append(Self.fact("memory", "%.1f MB at most, in this process", Double(peakMemory) / 1e6))
    lines += ["", Self.row("seconds", ["times", "minimum", "median", "maximum", "share"])]
    for stage in stages {
      let figures = [stage.seconds.minimum, stage.seconds.median, stage.seconds.maximum].map(Self.figure)
      lines.append(
        Self.row(stage.name, ["\(stage.seconds.count)"] + figures + [share(of: stage.seconds.total)]))
    }
    for whole in wholes {
      lines.append(Self.row(whole.name, ["", "", Self.figure(whole.seconds), "", share(of: whole.seconds)]))
    }
    return lines.joined(separator: "\n")
  }

  private func share(of seconds: Double) -> String { String(format: "%.1f %%", 100 * seconds / wallSeconds) }

  private static func figure(_ seconds: Double) -> String { String(format: "%.6f", seconds) }

  private static func fact(_ name: String, _ format: String, _ values: Double...) -> String {
    padded(name, 8) + String(format: format, arguments: values)
  }

  private static func row(_ name: String, _ cells: [String]) -> String {
    padded(name, 16)
      + cells.map { String(repeating: " ", count: max(11 - $0.count, 1)) + $0 }.joined()
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 1))
  }

  // MARK: - As JSON

  var json: JSONValue {
    .object([
      ("name", .string(name)), ("plan", plan.map { .string($0.rawValue) } ?? .null),
      ("stems", .strings(stems.map(\.rawValue))), ("audio_seconds", .number(audioSeconds)),
      ("wall_seconds", .number(wallSeconds)), ("audio_seconds_per_second", .number(realTimeFactor)),
      ("load_seconds", loadSeconds.map(JSONValue.number) ?? .null), ("peak_memory_bytes", .integer(peakMemory)),
      ("stages", .object(stages.map { (Self.key($0.name), json(of: $0.seconds)) })),
      (
        "others",
        .object(
          wholes.map {
            (
              Self.key($0.name),
              .object([("seconds", .number($0.seconds)), ("share", .number($0.seconds / wallSeconds))])
            )
          })
      ),
    ])
  }

  private func json(of times: Distribution) -> JSONValue {
    .object([
      ("times", .integer(times.count)), ("minimum_seconds", .number(times.minimum)),
      ("median_seconds", .number(times.median)), ("maximum_seconds", .number(times.maximum)),
      ("total_seconds", .number(times.total)), ("share", .number(times.total / wallSeconds)),
    ])
  }

  private static func key(_ name: String) -> String { name.lowercased().replacing(" ", with: "_") }
}

/// How long something took, each time; at least once.
struct Distribution: Equatable, Sendable {
  private let sorted: [Double]

  init(_ seconds: [Double]) {
    precondition(!seconds.isEmpty, "nothing was measured")
    sorted = seconds.sorted()
  }

  var count: Int { sorted.count }
  var minimum: Double { sorted[0] }
  var maximum: Double { sorted[sorted.count - 1] }
  var total: Double { sorted.reduce(0, +) }
  /// The one in the middle, or the mean of both.
  var median: Double { (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2 }
}
