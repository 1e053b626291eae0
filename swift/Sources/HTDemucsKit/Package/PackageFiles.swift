import CryptoKit
import Foundation

/// The files of a package on disk, before anything of their content is believed: exactly those of the format.
struct PackageFiles {
  static let manifest = "Manifest.json"
  static let model = "Data/com.apple.CoreML/model.mlmodel"
  static let weights = "Data/com.apple.CoreML/weights/weight.bin"
  static let all = [model, weights, manifest]

  /// The manifest has the same bytes in every package: its identifiers follow from the paths.
  static let manifestSHA256 = "a23d059576ddebccf221a2f2713a672733854b88aaee92a88c1fe016dd92b458"

  private static let limitBytes = [manifest: 1 << 16, model: 256 << 20, weights: 4 << 30]
  private static let folders: Set<String> = ["Data", "Data/com.apple.CoreML", "Data/com.apple.CoreML/weights"]

  let url: URL
  /// Sizes of all files together.
  let bytes: Int

  /// Lists a package.
  ///
  /// - Parameter url: The `.mlpackage` folder.
  /// - Throws: `PackageError` if it is missing, lacks a file, or holds a link or anything else.
  init(_ url: URL) throws {
    self.url = url
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw PackageError.notFound(path: url.path)
    }
    guard url.pathExtension != "mlmodelc" else { throw PackageError.compiledModel(path: url.path) }
    var sizes: [String: Int] = [:]
    try Self.list(url, below: "", into: &sizes)
    for file in Self.all {
      guard let size = sizes[file] else { throw PackageError.incomplete(path: url.path, file: file) }
      let limit = Self.limitBytes[file] ?? 0
      guard size <= limit else {
        throw PackageError.tooLarge(path: url.path, file: file, bytes: size, limitBytes: limit)
      }
    }
    bytes = sizes.values.reduce(0, +)
  }

  /// Content of a file, whole.
  func content(of file: String) throws -> [UInt8] {
    do {
      return [UInt8](try Data(contentsOf: url.appending(path: file)))
    } catch {
      throw unreadable(file, error)
    }
  }

  /// Digest of a file, read in pieces.
  func sha256(of file: String) throws -> String {
    do {
      return try HTDemucsKit.sha256(ofFile: url.appending(path: file))
    } catch {
      throw unreadable(file, error)
    }
  }

  private func unreadable(_ file: String, _ error: any Error) -> PackageError {
    .unreadable(path: url.path, file: file, reason: failureReason(error))
  }

  private static func list(_ root: URL, below folder: String, into sizes: inout [String: Int]) throws {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)
    } catch {
      throw PackageError.unreadable(
        path: root.path, file: folder.isEmpty ? "." : folder, reason: failureReason(error))
    }
    for name in names.sorted() {
      let item = folder.isEmpty ? name : "\(folder)/\(name)"
      let attributes = try? FileManager.default.attributesOfItem(atPath: root.appending(path: item).path)
      switch attributes?[.type] as? FileAttributeType {
      case .typeDirectory? where folders.contains(item):
        try list(root, below: item, into: &sizes)
      case .typeRegular? where all.contains(item):
        sizes[item] = (attributes?[.size] as? NSNumber)?.intValue ?? 0
      default:
        throw PackageError.foreignFile(path: root.path, file: item)
      }
    }
  }
}

/// Digest of a file in hexadecimal, read in pieces.
func sha256(ofFile url: URL) throws -> String {
  let handle = try FileHandle(forReadingFrom: url)
  defer { try? handle.close() }
  var hasher = SHA256()
  var isEnd = false
  while !isEnd {
    try releasingObjects {
      let piece = try handle.read(upToCount: 1 << 20) ?? Data()
      hasher.update(data: piece)
      isEnd = piece.isEmpty
    }
  }
  return hexadecimal(hasher.finalize())
}

/// Digest of bytes in memory, in hexadecimal.
func sha256(_ bytes: [UInt8]) -> String {
  var hasher = SHA256()
  hasher.update(data: bytes)
  return hexadecimal(hasher.finalize())
}

/// Bytes as lower-case hexadecimal digits.
private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
