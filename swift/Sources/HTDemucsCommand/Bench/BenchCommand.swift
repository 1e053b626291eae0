import Foundation
import HTDemucsKit

/// `bench`: how fast this machine is.
struct BenchCommand {
  static let description = CommandDescription(
    name: "bench", summary: "Measure how fast this machine separates.",
    details: [
      "Measure how fast this machine separates a synthetic track.",
      "With a package, the whole of it is timed: STFT, model, inverse STFT and blending. The track and its stems are in "
        + "memory then. With --pass-through, the same pipeline runs around a model that returns the mix as every stem, "
        + "block by block, and what remains is the time and the memory of everything but the model. With --transforms, "
        + "the STFT and its inverse are timed alone.",
      "Everything but the model runs on one thread. Figures of a debug build say little: build with -c release.",
    ],
    operands: .init(placeholder: "", count: 0...0),
    options: PackageChoice.packageOptions + [
      CommandOption("--pass-through", "A model that returns the mix as every stem, in place of a package."),
      CommandOption(
        "--transforms",
        "Only the STFT of one stereo segment of 10 s, and the inverse of six stereo stems, "
          + "\(TransformBenchmark.usualRepeats) times each."),
      CommandOption(
        "--seconds", takes: .number("F", secondsRange),
        "Length of the track in seconds, \(described(secondsRange, "F")). [default: \(Int(usualSeconds))]"),
      PackageChoice.planOption(default: "what fits the package; design for --model and --pass-through"),
      CommandOption("--stems", takes: .text("A,B"), "Only these stems. [default: all]"),
      PackageChoice.computeUnitsOption,
      CommandOption("--json", "Print one JSON object instead of a table."),
    ],
    exclusions: [
      ["--package", "--model", "--pass-through", "--transforms"], ["--transforms", "--seconds"],
      ["--transforms", "--plan"], ["--transforms", "--stems"], ["--transforms", "--compute-units"],
      ["--pass-through", "--compute-units"],
    ],
    examples: [
      "bench --package htdemucs_6s.mixed.mlpackage --compute-units all",
      "bench --pass-through --seconds 600", "bench --transforms --json",
    ])

  private static let secondsRange = 1.0..<100_000
  private static let usualSeconds = 60.0

  private let arguments: ParsedArguments
  private let choice: PackageChoice
  private let options: SeparationOptions
  private let seconds: Double

  init(_ arguments: ParsedArguments) {
    self.arguments = arguments
    choice = PackageChoice(arguments)
    options = SeparationOptions(
      selection: arguments["--stems"].map { .only(stemTypes($0)) } ?? .all, plan: choice.plan)
    seconds = arguments.number("--seconds") ?? Self.usualSeconds
  }

  /// Measures and prints.
  ///
  /// - Returns: The exit code.
  /// - Throws: `UsageError` if plan or stems do not fit, what the package or the separation throws, `TextOutputError`
  ///   or `CancellationError`.
  func run(_ console: Console, _ services: Services) async throws -> Int32 {
    #if DEBUG
      console.note("this is a debug build: figures that say something need -c release")
    #endif
    let benchmark: Benchmark
    if arguments.has("--transforms") {
      benchmark = try TransformBenchmark.run()
    } else if arguments.has("--pass-through") {
      let pipeline = try fitting { try PassThroughBenchmark(seconds: seconds, options: options) }
      tellOfTrack(console)
      benchmark = try await pipeline.run()
    } else {
      benchmark = try await measurePackage(console, services)
    }
    try console.print(arguments.has("--json") ? benchmark.json.indented : benchmark.table)
    return ExitCode.done
  }

  private func measurePackage(_ console: Console, _ services: Services) async throws -> Benchmark {
    if let note = choice.note { console.note(note) }
    let separator = try await choice.load(console.environment, services)
    let stems = try fitting { try separator.outputs(options) }
    tellOfTrack(console)
    let clock = ContinuousClock()
    let started = clock.now
    try await separator.prewarm()
    let loadSeconds = (clock.now - started).seconds
    let report = try await separator.measure(SyntheticTrack(seconds: seconds).waveform(), options: options)
    return Benchmark(
      name: "\(report.model) \(report.variant) on \(report.computeUnits.rawValue)", plan: report.plan, stems: stems,
      audioSeconds: report.audioSeconds, wallSeconds: report.wallSeconds, loadSeconds: loadSeconds,
      stages: Benchmark.stages(of: report.segments), others: [])
  }

  private func tellOfTrack(_ console: Console) {
    console.note("separating \(JSONValue.number(seconds).line) s of noise")
  }

  /// What does not fit the model is wrong usage.
  private func fitting<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      throw UsageError(message: message(of: error), command: Self.description.name)
    }
  }
}
