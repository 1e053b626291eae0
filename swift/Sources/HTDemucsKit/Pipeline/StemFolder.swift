import Foundation

/// A folder of outputs that appear together, and each whole, or not at all.
///
/// Files are written into a temporary folder beside the target and moved when all are complete. A target that is not there
/// yet appears at once with all its files; in one that is, files of the same names are replaced one by one, each whole,
/// and others are left alone.
struct StemFolder {
  /// Where files are written first.
  let staging: URL
  private let target: URL
  private let temporary: URL
  /// Parents that were made for the target, the innermost first.
  private let made: [URL]

  /// Makes the temporary folder, and the target's parents where they are missing.
  ///
  /// - Throws: `AudioProcessingError.unwritable`.
  init(for target: URL) throws {
    self.target = target
    let parent = target.deletingLastPathComponent()
    var missing: [URL] = []
    var folder = parent
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
      missing.append(folder)
      folder = folder.deletingLastPathComponent()
    }
    made = missing
    temporary = parent.appending(path: ".htdemucs.\(UUID().uuidString)")
    staging = temporary.appending(path: "stems")
    do {
      try FileManager.default.createDirectory(at: staging, withIntermediateDirectories: true)
    } catch {
      discard()
      throw Self.unwritable(target, error)
    }
  }

  /// Brings the files into the target.
  ///
  /// - Throws: `AudioProcessingError.unwritable`; the temporary folder is then still there.
  func commit() throws {
    do {
      try synchronise(folder: staging)
      if rename(staging.path, target.path) != 0 {
        let code = errno
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: target.path, isDirectory: &isFolder), isFolder.boolValue else {
          throw HTDemucsKit.unwritable(target, code)
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: staging.path).sorted() {
          let file = target.appending(path: name)
          guard rename(staging.appending(path: name).path, file.path) == 0 else {
            throw HTDemucsKit.unwritable(file, errno)
          }
        }
        try synchronise(folder: target)
      }
      try? FileManager.default.removeItem(at: temporary)
      try synchronise(folder: target.deletingLastPathComponent())
    } catch let error as AudioProcessingError {
      throw error
    } catch {
      throw Self.unwritable(target, error)
    }
  }

  /// Removes everything that was made.
  func discard() {
    try? FileManager.default.removeItem(at: temporary)
    for folder in made {
      guard rmdir(folder.path) == 0 else { return }
    }
  }

  private static func unwritable(_ url: URL, _ error: any Error) -> AudioProcessingError {
    .unwritable(path: url.path, reason: error.localizedDescription)
  }
}
