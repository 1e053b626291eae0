import Foundation
import XCTest

/// A store that lets anything pass proves nothing.
final class GoldenStoreTests: XCTestCase {
  private var folder = URL(filePath: NSTemporaryDirectory()).appending(path: UUID().uuidString)

  override func setUpWithError() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try write([0, 0, 128, 63, 0, 0, 0, 192])
  }

  override func tearDownWithError() throws {
    try FileManager.default.removeItem(at: folder)
  }

  func testValuesAreReadLittleEndian() throws {
    XCTAssertEqual(try store().load("pair", as: Float.self, shape: [2]), [1, -2])
  }

  func testAnotherSizeIsRefused() throws {
    try write([0, 0, 128, 63])
    assertThrows(GoldenStore.Refusal.size(name: "pair", bytes: 4, requiredBytes: 8)) {
      _ = try store().load("pair", as: Float.self)
    }
    assertThrows(GoldenStore.Refusal.size(name: "pair", bytes: 9, requiredBytes: 8)) {
      _ = try store(bytes: 9)
    }
  }

  func testAnotherDigestIsRefused() throws {
    try write([1, 0, 128, 63, 0, 0, 0, 192])
    XCTAssertThrowsError(try store().load("pair", as: Float.self)) {
      guard case GoldenStore.Refusal.digest(name: "pair", _, required: Self.digest) = $0 else {
        return XCTFail("\($0)")
      }
    }
  }

  func testAnotherShapeIsRefused() throws {
    assertThrows(GoldenStore.Refusal.shape(name: "pair", actual: [2], required: [1, 2])) {
      _ = try store().load("pair", as: Float.self, shape: [1, 2])
    }
    XCTAssertThrowsError(try store(axes: #"["a", "b"]"#))
  }

  func testAnotherTypeIsRefused() throws {
    assertThrows(GoldenStore.Refusal.type(name: "pair", actual: "float32", required: "int64")) {
      _ = try store().load("pair", as: Int64.self)
    }
    assertThrows(GoldenStore.Refusal.manifest(reason: "pair: float16")) { _ = try store(dtype: "float16") }
    assertThrows(GoldenStore.Refusal.manifest(reason: "pair: big")) { _ = try store(byteOrder: "big") }
  }

  func testAnotherVersionIsRefused() {
    assertThrows(GoldenStore.Refusal.manifest(reason: "version 2")) { _ = try store(version: 2) }
  }

  func testUnknownNamesMissingFilesLinksAndPathsOutsideAreRefused() throws {
    assertThrows(GoldenStore.Refusal.unknown(name: "triple")) {
      _ = try store().load("triple", as: Float.self)
    }
    assertThrows(GoldenStore.Refusal.path("../pair.f32")) { _ = try store(file: "../pair.f32") }
    assertThrows(GoldenStore.Refusal.path("other.f32")) {
      _ = try store(file: "other.f32").load("pair", as: Float.self)
    }
    try FileManager.default.createSymbolicLink(
      at: folder.appending(path: "link.f32"), withDestinationURL: folder.appending(path: "pair.f32"))
    assertThrows(GoldenStore.Refusal.path("link.f32")) {
      _ = try store(file: "link.f32").load("pair", as: Float.self)
    }
    let nowhere = folder.appending(path: "nowhere")
    assertThrows(GoldenStore.Refusal.noGoldens(folder: nowhere.path)) { _ = try GoldenStore(folder: nowhere) }
  }

  func testEveryGoldenInTheRepositoryIsIntact() throws {
    let goldens = try GoldenStore.small()
    XCTAssertGreaterThanOrEqual(goldens.entries.count, 100)
    for (name, entry) in goldens.entries {
      switch entry.dtype {
      case Float.dtype: _ = try goldens.load(name, as: Float.self)
      case Double.dtype: _ = try goldens.load(name, as: Double.self)
      default: _ = try goldens.load(name, as: Int64.self)
      }
    }
  }

  /// `hashlib.sha256(numpy.array([1, -2], "<f4").tobytes()).hexdigest()`.
  private static let digest = "ee4ac73c2bd27756ab82780f27c73a7bc4d3f0bb6acb37e008bc27eccd7e588b"

  private func write(_ payload: [UInt8]) throws {
    try Data(payload).write(to: folder.appending(path: "pair.f32"))
  }

  private func store(
    version: Int = 1, file: String = "pair.f32", bytes: Int = 8, dtype: String = "float32",
    byteOrder: String = "little", axes: String = #"["a"]"#
  ) throws -> GoldenStore {
    let manifest = """
      {"version": \(version), "goldens": {"pair": {"file": "\(file)", "sha256": "\(Self.digest)",
      "bytes": \(bytes), "dtype": "\(dtype)", "byte_order": "\(byteOrder)", "shape": [2], "axes": \(axes),
      "scale": "1", "generator": "here", "inputs": {}}}}
      """
    try Data(manifest.utf8).write(to: folder.appending(path: "manifest.json"))
    return try GoldenStore(folder: folder)
  }
}
