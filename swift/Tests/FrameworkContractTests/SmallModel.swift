import CoreML
import XCTest

/// The tests' small package: the core's inputs and outputs, segments of 11,264 samples.
enum SmallModel {
  static let inputShapes: [String: [Int]] = [
    "spectrogram_real": [1, 2, 2048, 11], "spectrogram_imag": [1, 2, 2048, 11], "waveform": [1, 2, 11264],
  ]
  static let outputShapes: [String: [Int]] = [
    "stems_real": [1, 6, 2, 2048, 11], "stems_imag": [1, 6, 2, 2048, 11], "stems_waveform": [1, 6, 2, 11264],
  ]

  /// The package, which `just test-swift` builds and links.
  static func package() throws -> URL {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    let link = root.standardizedFileURL.appendingPathComponent(".build/htdemucs-test-packages/small.mlpackage")
    let package = link.resolvingSymlinksInPath()
    return try XCTUnwrap(
      FileManager.default.fileExists(atPath: package.path) ? package : nil,
      "\(link.path) is missing: run `just test-swift` once, which builds it")
  }

  /// A copy of the package that may be changed.
  static func copy(in folder: URL) throws -> URL {
    let copy = folder.appendingPathComponent("small.mlpackage")
    try FileManager.default.copyItem(at: package(), to: copy)
    for case let item as URL in try XCTUnwrap(FileManager.default.enumerator(at: copy, includingPropertiesForKeys: nil))
    {
      let isFolder = try item.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true
      try FileManager.default.setAttributes(
        [.posixPermissions: isFolder ? 0o755 : 0o644], ofItemAtPath: item.path)
    }
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: copy.path)
    return copy
  }

  /// The package, compiled and moved into a folder.
  static func compiled(in folder: URL) async throws -> URL {
    let compiled = try await MLModel.compileModel(at: package())
    let place = folder.appendingPathComponent("small.mlmodelc")
    try FileManager.default.moveItem(at: compiled, to: place)
    return place
  }

  /// Inputs, each the start of the same noise.
  static func inputs(scale: Float = 1) throws -> MLDictionaryFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: inputShapes.mapValues { try multiArray(of: $0, scale: scale) })
  }

  static func multiArray(of shape: [Int], scale: Float = 1) throws -> MLMultiArray {
    let array = try MLMultiArray(shape: shape as [NSNumber], dataType: .float32)
    let values = noise(array.count)
    array.withUnsafeMutableBytes { bytes, _ in
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: scale * value, toByteOffset: index * 4, as: Float.self)
      }
    }
    return array
  }
}

extension MLMultiArray {
  /// The element at an index, through the strides.
  func float(at index: [Int]) -> Float {
    withUnsafeBytes {
      let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1.intValue }
      return $0.load(fromByteOffset: offset * 4, as: Float.self)
    }
  }

  /// All elements, the last dimension's side by side.
  var floats: [Float] {
    var indices: [[Int]] = [[]]
    for length in shape.dropLast() { indices = indices.flatMap { index in (0..<length.intValue).map { index + [$0] } } }
    let (rowLength, step) = (shape[shape.count - 1].intValue, strides[strides.count - 1].intValue)
    return withUnsafeBytes { bytes in
      indices.flatMap { index in
        let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1.intValue }
        return (0..<rowLength).map { bytes.load(fromByteOffset: (offset + $0 * step) * 4, as: Float.self) }
      }
    }
  }
}

/// A temporary folder for one test.
struct TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("FrameworkContractTests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  func remove() { try? FileManager.default.removeItem(at: url) }
}
