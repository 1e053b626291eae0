import CryptoKit
import Foundation

/// Goldens: reference values from the Python package that both languages are tested against.
///
/// A store refuses whatever the manifest does not vouch for: a payload of another size or digest, a golden of another
/// shape or type than asked for.
struct GoldenStore {
  /// What the manifest says of one golden; `htdemucs_coreml.goldens.manifest` describes every field.
  struct Entry: Decodable, Equatable {
    struct Slice: Decodable, Equatable {
      let axis: String
      let start: Int
      let stop: Int
      let step: Int
    }

    let file: String
    let sha256: String
    let bytes: Int
    let dtype: String
    let byteOrder: String
    let shape: [Int]
    let axes: [String]
    let scale: String
    let generator: String
    let slice: Slice?
    let inputs: [String: String]

    enum CodingKeys: String, CodingKey {
      case file, sha256, bytes, dtype, shape, axes, scale, generator, slice, inputs
      case byteOrder = "byte_order"
    }
  }

  enum Refusal: Error, Equatable {
    case noGoldens(folder: String)
    case manifest(reason: String)
    case unknown(name: String)
    case path(String)
    case type(name: String, actual: String, required: String)
    case shape(name: String, actual: [Int], required: [Int])
    case size(name: String, bytes: Int, requiredBytes: Int)
    case digest(name: String, actual: String, required: String)
  }

  /// The set in the repository.
  static func small() throws -> GoldenStore {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../..")
    return try GoldenStore(folder: root.standardizedFileURL.appending(path: "goldens/small"))
  }

  let folder: URL
  let entries: [String: Entry]

  init(folder: URL) throws {
    struct Manifest: Decodable {
      let version: Int
      let goldens: [String: Entry]
    }
    self.folder = folder
    guard let content = try? Data(contentsOf: folder.appending(path: "manifest.json")) else {
      throw Refusal.noGoldens(folder: folder.path)
    }
    let manifest: Manifest
    do {
      manifest = try JSONDecoder().decode(Manifest.self, from: content)
    } catch {
      throw Refusal.manifest(reason: String(describing: error))
    }
    guard manifest.version == 1 else { throw Refusal.manifest(reason: "version \(manifest.version)") }
    entries = manifest.goldens
    for (name, entry) in entries { try Self.check(entry, name) }
  }

  /// Names of goldens below a folder, such as `stft`, that end in a last part, such as `input`: what lies between.
  func names(below prefix: String, endingIn last: String) -> [String] {
    entries.keys.filter { $0.hasPrefix(prefix + "/") && $0.hasSuffix("/" + last) }
      .map { String($0.dropFirst(prefix.count + 1).dropLast(last.count + 1)) }.sorted()
  }

  func entry(_ name: String) throws -> Entry {
    guard let entry = entries[name] else { throw Refusal.unknown(name: name) }
    return entry
  }

  /// Values of a golden, in C order.
  ///
  /// - Parameters:
  ///   - name: Its name in the manifest.
  ///   - type: The type it must have; nothing is converted.
  ///   - shape: The shape it must have; by default the manifest's.
  /// - Returns: As many values as the shape says.
  /// - Throws: `Refusal` if there is no such golden, or its file is not the one that the manifest describes.
  func load<Value: GoldenValue>(_ name: String, as type: Value.Type, shape: [Int]? = nil) throws -> [Value] {
    let entry = try entry(name)
    guard entry.dtype == Value.dtype else {
      throw Refusal.type(name: name, actual: entry.dtype, required: Value.dtype)
    }
    if let shape, shape != entry.shape {
      throw Refusal.shape(name: name, actual: entry.shape, required: shape)
    }
    let bytes = try payload(name, entry)
    return stride(from: 0, to: bytes.count, by: Value.bytes).map {
      Value(littleEndian: bytes[$0..<$0 + Value.bytes])
    }
  }

  private func payload(_ name: String, _ entry: Entry) throws -> [UInt8] {
    let file = folder.appending(path: entry.file)
    let kind = try? FileManager.default.attributesOfItem(atPath: file.path)[.type] as? FileAttributeType
    guard kind == .typeRegular, let content = try? Data(contentsOf: file) else {
      throw Refusal.path(entry.file)
    }
    guard content.count == entry.bytes else {
      throw Refusal.size(name: name, bytes: content.count, requiredBytes: entry.bytes)
    }
    let bytes = [UInt8](content)
    let digest = SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined()
    guard digest == entry.sha256 else {
      throw Refusal.digest(name: name, actual: digest, required: entry.sha256)
    }
    return bytes
  }

  private static func check(_ entry: Entry, _ name: String) throws {
    let sizes = ["float32": 4, "float64": 8, "int64": 8]
    guard let size = sizes[entry.dtype] else { throw Refusal.manifest(reason: "\(name): \(entry.dtype)") }
    guard entry.byteOrder == "little" else { throw Refusal.manifest(reason: "\(name): \(entry.byteOrder)") }
    guard entry.shape.count == entry.axes.count, entry.shape.allSatisfy({ $0 >= 1 }) else {
      throw Refusal.manifest(reason: "\(name): shape \(entry.shape), axes \(entry.axes)")
    }
    let bytes = entry.shape.reduce(size, *)
    guard bytes == entry.bytes else {
      throw Refusal.size(name: name, bytes: entry.bytes, requiredBytes: bytes)
    }
    guard !entry.file.hasPrefix("/"), !entry.file.split(separator: "/").contains("..") else {
      throw Refusal.path(entry.file)
    }
  }
}

/// A type that goldens are stored in.
protocol GoldenValue {
  static var dtype: String { get }
  static var bytes: Int { get }
  init(littleEndian bytes: ArraySlice<UInt8>)
}

extension Float: GoldenValue {
  static let dtype = "float32"
  static let bytes = 4
  init(littleEndian bytes: ArraySlice<UInt8>) {
    self.init(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }
}

extension Double: GoldenValue {
  static let dtype = "float64"
  static let bytes = 8
  init(littleEndian bytes: ArraySlice<UInt8>) {
    self.init(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }
}

extension Int64: GoldenValue {
  static let dtype = "int64"
  static let bytes = 8
  init(littleEndian bytes: ArraySlice<UInt8>) {
    self.init(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }
}
