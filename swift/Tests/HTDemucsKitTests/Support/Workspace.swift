import Foundation
import HTDemucsKit
import XCTest

/// A folder of a test's own, gone when the test ends.
final class Workspace: Sendable {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "htdemucs-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func url(_ name: String) -> URL { folder.appending(path: name) }

  /// Everything below the folder, by path, sorted.
  func contents() throws -> [String] { try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted() }
}

/// Packages that `just test-swift` links beside the build.
enum TestPackages {
  /// Six stems, segments of 11,264 samples, few channels: a prediction takes moments.
  static func small() throws -> URL { try package("htdemucs-test-packages/small.mlpackage") }

  /// The full-size fixture with segments of 11,264 samples, whose stems the goldens have.
  static func shortFixture() throws -> URL { try package("htdemucs-test-packages/fixture.mlpackage") }

  /// The full-size fixture, in the default variant whose segments fit a plan.
  static func fixture(_ plan: ChunkPlan.Name) throws -> URL {
    try package("htdemucs-packages/fixture.\(plan.standardVariant).mlpackage")
  }

  private static func package(_ path: String) throws -> URL {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../..")
    let link = root.standardizedFileURL.appending(path: ".build/\(path)")
    guard FileManager.default.fileExists(atPath: link.path) else { throw Missing(path: link.path) }
    return link.resolvingSymlinksInPath()
  }

  struct Missing: LocalizedError {
    let path: String
    var errorDescription: String? { "\(path) is not there: run the tests with `just test-swift`" }
  }
}

extension Workspace {
  /// A copy of a package that may be changed.
  func copy(of package: URL) throws -> URL {
    let copy = url("\(UUID().uuidString).mlpackage")
    try FileManager.default.copyItem(at: package, to: copy)
    for path in try FileManager.default.subpathsOfDirectory(atPath: copy.path) + ["."] {
      let item = copy.appending(path: path)
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: item.path, isDirectory: &isFolder)
      let mode = NSNumber(value: isFolder.boolValue ? 0o755 : 0o644)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: item.path)
    }
    return copy
  }
}
