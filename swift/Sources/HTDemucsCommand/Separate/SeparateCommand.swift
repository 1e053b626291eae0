import Foundation
import HTDemucsKit

/// `separate`: songs into stems.
struct SeparateCommand {
  static let description = CommandDescription(
    name: "separate", summary: "Separate songs into stems.",
    details: [
      "Separate songs into stems.",
      "Each INPUT (WAV, FLAC, MP3, AIFF, AAC, …: what the system reads) becomes a folder DIR/<input's name> with one "
        + "stereo file for each stem, at the input's sample rate and length. A song's stems appear when all are complete, "
        + "or not at all. Memory does not grow with the song.",
      "With several inputs, one that fails is told and the others are still separated; the exit code is then 1.",
    ],
    operands: .init(placeholder: "INPUT…", count: 1...Int.max),
    options: [
      CommandOption(
        "--output", short: "o", takes: .path("DIR"), isRequired: true,
        "Where the folders of stems go; made if it is not there.")
    ] + PackageChoice.packageOptions + [
      PackageChoice.planOption(default: "what fits the package; design for --model"),
      CommandOption(
        "--overlap", takes: .number("F", 0..<1),
        "Share of a segment in common with the next, \(described(0..<1, "F")). More is smoother and takes longer: time "
          + "grows as 1 / (1 - F). Plan design's ramps are half as long as what is shared. [default: design 0.2, demucs 0.25]"
      ),
      CommandOption("--stems", takes: .text("A,B"), "Write only these stems, in this order. [default: all]"),
      CommandOption(
        "--two-stems", takes: .text("A"), "Write stem A and no_A, the rest of the mix; together they are the mix."),
      CommandOption("--float32", "32-bit floating-point WAV: nothing is lost. [default]"),
      CommandOption("--int24", "24-bit integers. [default with --flac]"),
      CommandOption("--int16", "16-bit integers: half the size of --float32, not dithered."),
      CommandOption("--flac", "FLAC files, which are smaller and hold integers only, in place of WAV."),
      CommandOption(
        "--clip-mode", takes: .choice(ClipMode.allCases.map(\.rawValue)),
        "Samples beyond full scale. none: kept by float32, cut by integers. rescale: a stem that is too loud is made "
          + "quieter as a whole, so stems no longer add up to the mix. clamp: cut at 0.99. [default: none for float32, "
          + "rescale for integers]"),
      CommandOption(
        "--downmix", "Mix inputs of 3 to 6 channels down to stereo; they are refused otherwise."),
      CommandOption(
        "--backend", takes: .text("coreml"),
        "What runs the model: Core ML. The Python tool, \(pythonTool), has others. [default: coreml]"),
      PackageChoice.computeUnitsOption,
      CommandOption(
        "--fallback-package", takes: .path("PATH"),
        "A package of the same weights with shorter segments, for segments in which the model fails twice, as where "
          + "memory is short. [default: none]"),
      CommandOption(
        "--report", takes: .path("FILE"),
        "Write what each separation did and took, in seconds and bytes, as JSON: a list with an object for each input."),
      CommandOption("--json", "Print events as lines of JSON to standard output."),
      CommandOption("--quiet", "Print errors, and with --json results, but no progress, notes or warnings."),
    ],
    exclusions: [["--model", "--package"], ["--stems", "--two-stems"], ["--float32", "--int24", "--int16"]],
    examples: [
      "separate song.mp3 -o stems --package htdemucs_6s.mixed.mlpackage",
      "separate *.flac -o stems --package htdemucs_6s.mixed.mlpackage --two-stems vocals --flac",
      "separate song.wav -o stems --model htdemucs_6s --plan demucs --stems drums,bass",
    ])

  private static let pythonTool = "htdemucs-coreml separate"
  private static let backend = "coreml"

  private let songs: [Song]
  private let output: GivenFolder
  private let options: FileOptions
  private let choice: PackageChoice
  private let reportFile: String?
  private let asJSON: Bool
  private let isQuiet: Bool

  /// - Throws: `UsageError`.
  init(_ arguments: ParsedArguments) throws {
    if let backend = arguments["--backend"], backend != Self.backend {
      throw Self.wrongUsage(
        "this tool has the backend coreml only; for backend \(backend) ask the Python tool, \(Self.pythonTool)")
    }
    songs = arguments.operands.map(Song.init(given:))
    output = GivenFolder(given: arguments["--output"] ?? "")
    choice = PackageChoice(arguments)
    options = FileOptions(
      separation: SeparationOptions(
        selection: Self.selection(arguments), plan: choice.plan, overlap: arguments.number("--overlap")),
      format: try Self.format(arguments), clipMode: arguments["--clip-mode"].flatMap(ClipMode.init(rawValue:)),
      allowsDownmix: arguments.has("--downmix"))
    reportFile = arguments["--report"]
    asJSON = arguments.has("--json")
    isQuiet = arguments.has("--quiet")
    try Self.requireDifferentNames(songs)
  }

  /// Separates each song.
  ///
  /// - Returns: The exit code.
  /// - Throws: `UsageError` if plan or stems do not fit the package, `TextOutputError`, `CancellationError`, or what
  ///   keeps the report's file from being written.
  func run(_ console: Console, _ services: Services) async throws -> Int32 {
    let file = try reportFile.map { try ReportFile(given: $0, songs: songs) }
    let reporter: any SeparationReporter =
      asJSON ? JSONReporter(console, isQuiet: isQuiet) : TextReporter(console, isQuiet: isQuiet)
    let results = try await separateAll(reporter, console.environment, services)
    let failed = results.count { $0.isFailure }
    try reporter.summary(done: songs.count - failed, failed: failed)
    try file?.write(results)
    return failed == 0 ? ExitCode.done : ExitCode.failed
  }

  private func separateAll(
    _ reporter: any SeparationReporter, _ environment: [String: String], _ services: Services
  ) async throws -> [SongResult] {
    var results: [Int: SongResult] = [:]
    for (place, song) in songs.enumerated() {
      // Before hours are spent on the others.
      do {
        try services.requireReadable(song.url, options.allowsDownmix)
      } catch {
        try Task.checkCancellation()
        results[place] = try Self.failure(of: song, error, reporter)
      }
    }
    if results.count < songs.count {
      if let note = choice.note { try reporter.note(note) }
      let separator: any SongSeparator
      do {
        separator = try await choice.load(environment, services)
      } catch {
        try Task.checkCancellation()
        let message = try reporter.failed(nil, error)
        return songs.indices.map { results[$0] ?? SongResult(song: songs[$0], outcome: .failed(message)) }
      }
      try requireFittingOptions(separator)
      for (place, song) in songs.enumerated() where results[place] == nil {
        try Task.checkCancellation()
        results[place] = try await separate(song, separator, reporter)
      }
    }
    return songs.indices.compactMap { results[$0] }
  }

  private func separate(
    _ song: Song, _ separator: any SongSeparator, _ reporter: any SeparationReporter
  ) async throws -> SongResult {
    let clock = ContinuousClock()
    let started = clock.now
    let progress = reporter.progress(of: song)
    let outcome: Result<SeparatedSong, any Error>
    do {
      outcome = .success(
        try await separator.separate(song.url, to: output.url, options: options, progress: { progress.update($0) }))
    } catch {
      outcome = .failure(error)
    }
    try progress.end()
    let separated: SeparatedSong
    do {
      separated = try outcome.get()
    } catch {
      // What a cancelled network throws is not what ended it.
      try Task.checkCancellation()
      return try Self.failure(of: song, error, reporter)
    }
    let folder = output.path(of: separated.folder)
    try reporter.done(song, folder: folder, separated, wallSeconds: (clock.now - started).seconds)
    return SongResult(song: song, outcome: .done(folder: folder, separated.report))
  }

  private static func failure(
    of song: Song, _ error: any Error, _ reporter: any SeparationReporter
  ) throws -> SongResult {
    SongResult(song: song, outcome: .failed(try reporter.failed(song, error)))
  }

  /// A plan or stems that do not fit the package are wrong usage, found before anything is separated.
  private func requireFittingOptions(_ separator: any SongSeparator) throws {
    do {
      _ = try separator.outputs(options.separation)
    } catch {
      throw Self.wrongUsage(message(of: error))
    }
  }

  // MARK: - Options

  private static func selection(_ arguments: ParsedArguments) -> SeparationOptions.Selection {
    if let stems = arguments["--stems"] { return .only(stemTypes(stems)) }
    return arguments["--two-stems"].map { .twoStems(StemType(rawValue: $0)) } ?? .all
  }

  private static func format(_ arguments: ParsedArguments) throws -> AudioFileFormat {
    let container: AudioFileFormat.Container = arguments.has("--flac") ? .flac : .wav
    let given = AudioFileFormat.Encoding.allCases.first { arguments.has("--\($0.rawValue)") }
    do {
      return try AudioFileFormat(container, given ?? (container == .flac ? .int24 : .float32))
    } catch {
      throw wrongUsage(message(of: error))
    }
  }

  /// Refuses inputs whose stems would go to one folder, also where names do not distinguish case.
  private static func requireDifferentNames(_ songs: [Song]) throws {
    // Strings are equal where their characters are, however these are composed.
    var byName: [String: Song] = [:]
    for song in songs {
      let name = songName(song.url).uppercased().lowercased()
      if let other = byName.updateValue(song, forKey: name) {
        throw wrongUsage(
          "\(other.given) and \(song.given) would have the same folder of stems: separate them into different ones")
      }
    }
  }

  private static func wrongUsage(_ message: String) -> UsageError {
    UsageError(message: message, command: description.name)
  }
}

/// Stems from a list such as `drums, bass`.
func stemTypes(_ list: String) -> [StemType] {
  list.split(separator: ",", omittingEmptySubsequences: false).map {
    StemType(rawValue: $0.trimmingCharacters(in: .whitespaces))
  }
}

/// An audio file as it was given.
struct Song: Equatable, Sendable {
  let given: String

  var url: URL { URL(filePath: given) }
}

/// A folder as it was given.
struct GivenFolder: Sendable {
  let given: String

  var url: URL { URL(filePath: given, directoryHint: .isDirectory) }

  /// Path of something in it, as short as it was given.
  func path(of name: String) -> String { given.hasSuffix("/") ? given + name : "\(given)/\(name)" }
}
