import Foundation
import HTDemucsKit
import Observation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

// The code of the article "Using HTDemucsKit in an app", so that it compiles. `DocumentationTests` compares both.

func bundledPackage(in bundle: Bundle = .main) throws -> URL {
  let package = bundle.url(forResource: "htdemucs_6s.mixed", withExtension: "mlpackage", subdirectory: "Models")
  guard let package else { throw CocoaError(.fileNoSuchFile) }
  return package
}

func downloadPackage(from server: URL, to package: URL, sha256: String) async throws {
  let partial = package.deletingLastPathComponent().appending(path: "\(UUID().uuidString).mlpackage")
  defer { try? FileManager.default.removeItem(at: partial) }
  for path in ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"] {
    let (download, response) = try await URLSession.shared.download(from: server.appending(path: path))
    guard (response as? HTTPURLResponse)?.statusCode == 200 else { throw URLError(.badServerResponse) }
    let file = partial.appending(path: path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.moveItem(at: download, to: file)
  }
  guard try ModelPackage(contentsOf: partial).sha256 == sha256 else { throw URLError(.cannotDecodeRawData) }
  try FileManager.default.moveItem(at: partial, to: package)
}

@MainActor @Observable
final class SongSeparation {
  private(set) var progress: SeparationProgress?
  private(set) var outcome: Result<SeparatedFile, any Error>?
  private var task: Task<Void, Never>?

  func start(_ processor: HTDemucsProcessor, _ song: URL, to folder: URL) {
    let (updates, continuation) = AsyncStream.makeStream(of: SeparationProgress.self)
    task = Task {
      do {
        let separated = try await processor.separate(contentsOf: song, to: folder) { continuation.yield($0) }
        outcome = .success(separated)
      } catch {
        outcome = .failure(error)
      }
      continuation.finish()
    }
    Task {
      for await update in updates { progress = update }
    }
  }

  func cancel() { task?.cancel() }
}

func remainingTime(_ progress: SeparationProgress) -> String {
  guard let seconds = progress.remainingSeconds else { return "Separating…" }
  return "About \(Duration.seconds(seconds).formatted(.units(allowed: [.minutes, .seconds], width: .wide))) left"
}

func alert(for error: any Error) -> (title: String, message: String)? {
  switch error {
  case is CancellationError:
    return nil
  case AudioProcessingError.channels(let channels, reason: .downmixIsOff):
    return ("This song has \(channels) channels", "Mix it down to stereo?")
  default:
    return (error.localizedDescription, (error as? any LocalizedError)?.recoverySuggestion ?? "")
  }
}

/// Lines that stand in the article without a function around them.
enum DocumentationSamples {
  static func warmUp(_ package: URL) async throws {
    let processor = try await HTDemucsProcessor(package: package)
    print(processor.stems)  // [drums, bass, other, vocals, guitar, piano]
    try await processor.prewarm()
  }

  static func overview(_ package: URL, _ song: URL, _ folder: URL) async throws -> SeparatedFile {
    let processor = try await HTDemucsProcessor(package: package)
    let separated = try await processor.separate(contentsOf: song, to: folder)
    return separated
  }

  static func separateFile(_ processor: HTDemucsProcessor, _ song: URL, _ folder: URL) async throws {
    let separated = try await processor.separate(contentsOf: song, to: folder)
    for stem in separated.stems { print(stem, separated.files[stem]?.path ?? "") }
  }

  static func separateSamples(_ processor: HTDemucsProcessor, left: [Float], right: [Float]) async throws {
    let mix = try Waveform(left + right, signals: 2)
    let separation = try await processor.separate(mix, sampleRateHz: 48_000)
    if let vocals = separation.stems[.vocals] { print(vocals[0].count, vocals[1].count) }  // left and right
  }

  static func karaoke(_ processor: HTDemucsProcessor, _ song: URL, _ folder: URL) async throws -> SeparatedFile {
    let karaoke = FileOptions(
      separation: SeparationOptions(selection: .twoStems(.vocals)), format: try AudioFileFormat(.flac, .int24))
    let separated = try await processor.separate(contentsOf: song, to: folder, options: karaoke)
    return separated
  }

  static func plans(_ processor: HTDemucsProcessor) throws -> [SeparationOptions] {
    let moreOverlap = SeparationOptions(overlap: 0.4)
    let smoothRamps = SeparationOptions(
      customPlan: try ChunkPlan.design(ramp: .hann, segmentSamples: processor.package.metadata.segmentSamples))
    return [moreOverlap, smoothRamps]
  }

  static func accelerated(_ package: URL) async throws -> HTDemucsProcessor {
    let configuration = HTDemucsProcessor.Configuration(computeUnits: .accelerated)
    let processor = try await HTDemucsProcessor(package: package, configuration: configuration)
    return processor
  }

  static func withFallback(_ package: URL, _ shorterSegments: URL) async throws -> HTDemucsProcessor {
    let configuration = HTDemucsProcessor.Configuration(fallbackPackage: shorterSegments)
    let processor = try await HTDemucsProcessor(package: package, configuration: configuration)
    return processor
  }

  static func readReport(_ separated: SeparatedFile, _ folder: URL) throws {
    let report = separated.report
    print("\(report.realTimeFactor) s of audio a second, \(report.retries) segments with failures")
    for warning in report.warnings { print(warning) }
    try report.json().write(to: folder.appending(path: "report.json"))
  }
}
