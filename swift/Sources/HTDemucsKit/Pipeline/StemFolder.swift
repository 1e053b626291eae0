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
    for folder in made.reversed() + [temporary, staging] where mkdir(folder.path, 0o777) != 0 {
      let code = errno
      // Others may make the same parents at the same time.
      if code == EEXIST, made.contains(folder) { continue }
      discard()
      throw HTDemucsKit.unwritable(target, code)
    }
  }

  /// Checks that a folder may take files, or may come to be, before anything is written.
  ///
  /// - Parameters:
  ///   - target: The folder.
  ///   - names: Of the files.
  /// - Throws: `AudioProcessingError.unwritable` for a target that is no folder or may not be changed, and for a file
  ///   whose place a folder takes.
  static func requireUsable(_ target: URL, for names: [String]) throws {
    var status = stat()
    guard lstat(target.path, &status) == 0 else { return }
    // Of a link, what it leads to counts.
    guard stat(target.path, &status) == 0 else { throw HTDemucsKit.unwritable(target, errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw HTDemucsKit.unwritable(target, ENOTDIR) }
    guard access(target.path, W_OK | X_OK) == 0 else { throw HTDemucsKit.unwritable(target, errno) }
    for name in names {
      let file = target.appending(path: name)
      if lstat(file.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        throw HTDemucsKit.unwritable(file, EISDIR)
      }
    }
  }

  /// An error of a file in `staging`, with the place that the file was meant for.
  func naming(_ error: any Error) -> any Error {
    guard case .unwritable(let path, let reason)? = error as? AudioProcessingError, path.hasPrefix(staging.path) else {
      return error
    }
    return AudioProcessingError.unwritable(path: target.path + path.dropFirst(staging.path.count), reason: reason)
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
      throw AudioProcessingError.unwritable(path: target.path, reason: failureReason(error))
    }
  }

  /// Removes everything that was made.
  func discard() {
    try? FileManager.default.removeItem(at: temporary)
    for folder in made {
      guard rmdir(folder.path) == 0 else { return }
    }
  }
}
