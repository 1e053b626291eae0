import Foundation

/// Which file is at a place, and what tells whether somebody wrote into it.
struct FileVersion: Equatable, Sendable {
  private let device: Int?
  private let number: Int?
  private let bytes: Int?
  private let modified: Date?

  /// - Parameter url: A file or a link to one; where none is, all such are equal.
  init(of url: URL) {
    let attributes = try? FileManager.default.attributesOfItem(atPath: url.resolvingSymlinksInPath().path)
    device = (attributes?[.systemNumber] as? NSNumber)?.intValue
    number = (attributes?[.systemFileNumber] as? NSNumber)?.intValue
    bytes = (attributes?[.size] as? NSNumber)?.intValue
    modified = attributes?[.modificationDate] as? Date
  }

  /// Whether it is the same file, whatever is in it.
  func isSameFile(as other: FileVersion) -> Bool { (device, number) == (other.device, other.number) }
}
