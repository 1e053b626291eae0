import Foundation
import HTDemucsKit
import Observation

/// What the window shows, and what can be done in it.
@MainActor @Observable
final class SeparationModel {
  /// A stem that was separated.
  struct Stem: Identifiable, Sendable {
    let type: StemType
    let file: URL
    var id: StemType { type }
  }

  /// An error as people read it.
  struct Failure: LocalizedError {
    let errorDescription: String?
    let recoverySuggestion: String?

    init(_ error: any Error) {
      errorDescription = error.localizedDescription
      recoverySuggestion = (error as? any LocalizedError)?.recoverySuggestion
    }
  }

  /// The package's model and variant; nil while there is none.
  var packageName: String? { processor.map { "\($0.package.metadata.model), \($0.package.metadata.variant)" } }
  /// Whether a package is checked, compiled and loaded.
  private(set) var isOpening = false
  /// Name of the song that is separated or was separated last.
  private(set) var songName: String?
  private(set) var progress: SeparationProgress?
  private(set) var stems: [Stem] = []
  private(set) var warnings: [String] = []
  private(set) var failure: Failure?
  let player = StemPlayer()

  var isSeparating: Bool { task != nil }
  var isShowingFailure: Bool {
    get { failure != nil }
    set { if !newValue { failure = nil } }
  }

  private var processor: HTDemucsProcessor?
  private var task: Task<Void, Never>?
  /// The package that may be read until another is chosen.
  private var openPackage: URL?

  // MARK: - Package

  /// Opens the package of the last launch.
  func reopenPackage() async {
    guard processor == nil, !isOpening else { return }
    do {
      if let package = try PackageBookmark.load() { await open(package) }
    } catch {
      // It was moved away or deleted: the next choice replaces it.
      PackageBookmark.remove()
      show(error)
    }
  }

  /// Checks a package, makes it ready, and remembers it.
  func open(_ package: URL) async {
    isOpening = true
    defer { isOpening = false }
    let isScoped = package.startAccessingSecurityScopedResource()
    do {
      let opened = try await HTDemucsProcessor(package: package)
      try await opened.prewarm()
      try PackageBookmark.save(package)
      openPackage?.stopAccessingSecurityScopedResource()
      openPackage = isScoped ? package : nil
      processor = opened
    } catch {
      if isScoped { package.stopAccessingSecurityScopedResource() }
      show(error)
    }
  }

  // MARK: - Separation

  /// Separates a song into the app's own documents.
  func separate(_ song: URL) {
    guard let processor, task == nil else { return }
    player.stop()
    (songName, stems, warnings) = (song.deletingPathExtension().lastPathComponent, [], [])
    let (updates, continuation) = AsyncStream.makeStream(of: SeparationProgress.self)
    task = Task {
      let isScoped = song.startAccessingSecurityScopedResource()
      do {
        let folder = URL.documentsDirectory.appending(path: "Stems")
        let separated = try await processor.separate(contentsOf: song, to: folder) { continuation.yield($0) }
        stems = separated.stems.compactMap { type in separated.files[type].map { Stem(type: type, file: $0) } }
        warnings = separated.report.warnings.map(\.description)
      } catch is CancellationError {
        // Nothing was written, as was asked for.
      } catch {
        show(error)
      }
      if isScoped { song.stopAccessingSecurityScopedResource() }
      continuation.finish()
      task = nil
    }
    Task {
      for await update in updates { progress = update }
      progress = nil
    }
  }

  /// Stops the separation within a segment.
  func cancel() { task?.cancel() }

  #if os(iOS)
    /// Stops the separation, and asks for the time that it takes to remove what is partial.
    func stopForBackground() {
      guard let task else { return }
      task.cancel()
      ProcessInfo.processInfo.performExpiringActivity(withReason: "Removing partial stems") { isExpired in
        guard !isExpired else { return }
        let done = DispatchSemaphore(value: 0)
        Task {
          await task.value
          done.signal()
        }
        done.wait()
      }
    }
  #endif

  // MARK: - Stems

  /// Plays a stem, or stops it.
  func toggle(_ stem: Stem) {
    do {
      try player.toggle(stem.file)
    } catch {
      show(error)
    }
  }

  /// Tells what went wrong.
  func show(_ error: any Error) { failure = Failure(error) }
}
