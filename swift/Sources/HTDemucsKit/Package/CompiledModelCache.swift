import CoreML
import Foundation

/// Compiled models on disk, found by the digest of the package that they were compiled from.
///
/// A package with any other bit has another digest, so that a stale compilation is never used; nor is one of another
/// version of the operating system. An entry appears whole or not at all, so that any number of processes may share
/// a cache.
struct CompiledModelCache: Sendable {
  let folder: URL

  /// The user's cache folder, which the system may empty.
  ///
  /// - Throws: `PackageError.cache` if there is none.
  static func standard() throws -> CompiledModelCache {
    do {
      let caches = try FileManager.default.url(
        for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
      return CompiledModelCache(folder: caches.appending(path: "htdemucs-coreml"))
    } catch {
      throw PackageError.cache(folder: "the user's cache folder", reason: failureReason(error))
    }
  }

  /// Where the compiled model of a package is, or will be.
  func entry(for package: ModelPackage) -> URL {
    let system = ProcessInfo.processInfo.operatingSystemVersion
    let version = "\(system.majorVersion).\(system.minorVersion).\(system.patchVersion)"
    return folder.appending(path: "\(package.sha256)-\(version).mlmodelc")
  }

  /// The compiled model of a package, compiled now if that was not done before.
  ///
  /// - Returns: The compiled model, and whether it was there.
  /// - Throws: `PackageError.notLoadable` if Core ML cannot compile the package, `.cache` if there is no place for it.
  func compiledModel(for package: ModelPackage) async throws -> (url: URL, wasCached: Bool) {
    let entry = entry(for: package)
    if FileManager.default.fileExists(atPath: entry.path) { return (entry, true) }
    let compiled: URL
    do {
      compiled = try await MLModel.compileModel(at: package.url)
    } catch {
      throw PackageError.notLoadable(path: package.url.path, reason: failureReason(error))
    }
    let partial = folder.appending(path: ".\(UUID().uuidString).partial")
    defer {
      try? FileManager.default.removeItem(at: partial)
      try? FileManager.default.removeItem(at: compiled)
    }
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try FileManager.default.moveItem(at: compiled, to: partial)
      // Another process may have been faster: its entry is as good.
      if rename(partial.path, entry.path) != 0, !FileManager.default.fileExists(atPath: entry.path) {
        throw POSIXError(.init(rawValue: errno) ?? .EIO)
      }
    } catch {
      throw PackageError.cache(folder: folder.path, reason: failureReason(error))
    }
    return (entry, false)
  }

  /// Forgets the compiled model of a package.
  func remove(_ package: ModelPackage) {
    try? FileManager.default.removeItem(at: entry(for: package))
  }
}
