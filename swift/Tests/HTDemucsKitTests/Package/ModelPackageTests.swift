import Foundation
import XCTest

@testable import HTDemucsKit

final class ModelPackageTests: XCTestCase {
  private static let model = "Data/com.apple.CoreML/model.mlmodel"
  private static let weights = "Data/com.apple.CoreML/weights/weight.bin"

  func testAPackageSaysWhatItIs() throws {
    let package = try ModelPackage(contentsOf: TestPackages.fixture(.design))
    XCTAssertEqual(package.metadata.model, "fixture")
    XCTAssertEqual(package.metadata.variant, "mixed")
    XCTAssertEqual(package.metadata.sources, [.drums, .bass, .other, .vocals, .guitar, .piano])
    XCTAssertEqual(package.metadata.segmentSamples, 441_000)
    XCTAssertEqual(package.metadata.segmentFrames, 431)
    XCTAssertEqual(package.metadata.sampleRateHz, 44_100)
    XCTAssertEqual(package.fileSHA256.count, 3)
    XCTAssertGreaterThan(package.bytes, 60_000_000)
  }

  func testTheDigestsAreTheLocks() throws {
    struct Lock: Decodable {
      struct Entry: Decodable { let files: [String: String]? }
      let artefacts: [String: Entry]
    }
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../../goldens/lock.json")
    let lock = try JSONDecoder().decode(Lock.self, from: Data(contentsOf: file.standardizedFileURL))
    for plan in ChunkPlan.Name.allCases {
      let package = try ModelPackage(contentsOf: TestPackages.fixture(plan))
      let name = "mlpackages.fixture.\(plan.standardVariant)"
      XCTAssertEqual(package.fileSHA256, lock.artefacts[name]?.files, name)
    }
  }

  func testNoBitOfAPackageCanChangeUnnoticed() throws {
    let workspace = try Workspace()
    let original = try TestPackages.small()
    var random = SystemRandomNumberGenerator()
    for file in ["Manifest.json", Self.model, Self.weights] {
      for _ in 0..<20 {
        let package = try workspace.copy(of: original)
        var bytes = try Data(contentsOf: package.appending(path: file))
        bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        try bytes.write(to: package.appending(path: file))
        XCTAssertThrowsError(try ModelPackage(contentsOf: package), file) {
          XCTAssertTrue($0 is PackageError, "\($0)")
        }
      }
    }
  }

  func testAMissingFileIsNamed() throws {
    let workspace = try Workspace()
    for file in ["Manifest.json", Self.model, Self.weights] {
      let package = try workspace.copy(of: TestPackages.small())
      try FileManager.default.removeItem(at: package.appending(path: file))
      assertThrows(PackageError.incomplete(path: package.path, file: file)) {
        _ = try ModelPackage(contentsOf: package)
      }
    }
  }

  func testLinksAndForeignFilesAreRefused() throws {
    let workspace = try Workspace()
    let linked = try workspace.copy(of: TestPackages.small())
    let weights = linked.appending(path: Self.weights)
    try FileManager.default.moveItem(at: weights, to: workspace.url("weight.bin"))
    try FileManager.default.createSymbolicLink(at: weights, withDestinationURL: workspace.url("weight.bin"))
    assertThrows(PackageError.foreignFile(path: linked.path, file: Self.weights)) {
      _ = try ModelPackage(contentsOf: linked)
    }
    let foreign = try workspace.copy(of: TestPackages.small())
    try Data().write(to: foreign.appending(path: "Data/notes.txt"))
    assertThrows(PackageError.foreignFile(path: foreign.path, file: "Data/notes.txt")) {
      _ = try ModelPackage(contentsOf: foreign)
    }
  }

  func testFoldersOfNoPackageAndFilesLargerThanAnyAreRefused() throws {
    let workspace = try Workspace()
    let package = try workspace.copy(of: TestPackages.small())
    try FileManager.default.createDirectory(
      at: package.appending(path: "Data/extra"), withIntermediateDirectories: false)
    assertThrows(PackageError.foreignFile(path: package.path, file: "Data/extra")) {
      _ = try ModelPackage(contentsOf: package)
    }
    let large = try workspace.copy(of: TestPackages.small())
    try Data(count: 65_537).write(to: large.appending(path: "Manifest.json"))
    assertThrows(
      PackageError.tooLarge(path: large.path, file: "Manifest.json", bytes: 65_537, limitBytes: 65_536)
    ) { _ = try ModelPackage(contentsOf: large) }
  }

  func testTheSizeIsThatOfAllFiles() throws {
    let url = try TestPackages.small()
    let sizes = try ["Manifest.json", Self.model, Self.weights].map {
      try Data(contentsOf: url.appending(path: $0)).count
    }
    XCTAssertEqual(try ModelPackage(contentsOf: url).bytes, sizes.reduce(0, +))
  }

  func testAModelThatIsNoProgramIsRefused() throws {
    let workspace = try Workspace()
    let package = try workspace.copy(of: TestPackages.small())
    var bytes = [UInt8](try Data(contentsOf: package.appending(path: Self.model)))
    // The program is field 502; its key and length stand before its content.
    try ProtobufReader.forEachField(of: bytes[...]) { field, value in
      guard field == 502, case .bytes(let content) = value else { return }
      var start = content.startIndex - 1
      while bytes[start - 1] & 0x80 != 0, Array(bytes[start - 2..<start]) != [0xB2, 0x1F] { start -= 1 }
      XCTAssertEqual(Array(bytes[start - 2..<start]), [0xB2, 0x1F])
      bytes[start - 2] = 0xBA
    }
    try Data(bytes).write(to: package.appending(path: Self.model))
    assertThrows(PackageError.malformedModel(path: package.path, reason: "it holds no ML program")) {
      _ = try ModelPackage(contentsOf: package)
    }
  }

  func testADigestIsMadeOfSixtyFourLowerCaseDigits() throws {
    var entries = try ModelPackage(contentsOf: TestPackages.small()).metadata.entries
    for digest in ["", "0", String(repeating: "g", count: 64), String(repeating: "A", count: 64)] {
      entries["weights_sha256"] = digest
      XCTAssertThrowsError(try PackageMetadata(entries: entries), digest) {
        XCTAssertEqual($0 as? PackageMetadata.Malformed, .init(reason: "has no sha256 as weights_sha256"))
      }
    }
  }

  func testWhatIsNoPackageIsRefused() throws {
    let workspace = try Workspace()
    assertThrows(PackageError.notFound(path: workspace.url("nothing").path)) {
      _ = try ModelPackage(contentsOf: workspace.url("nothing"))
    }
    try Data("text".utf8).write(to: workspace.url("file"))
    assertThrows(PackageError.notFound(path: workspace.url("file").path)) {
      _ = try ModelPackage(contentsOf: workspace.url("file"))
    }
    let compiled = workspace.url("model.mlmodelc")
    try FileManager.default.createDirectory(at: compiled, withIntermediateDirectories: true)
    assertThrows(PackageError.compiledModel(path: compiled.path)) { _ = try ModelPackage(contentsOf: compiled) }
    try FileManager.default.removeItem(at: compiled)
    assertThrows(PackageError.incomplete(path: workspace.folder.path, file: Self.model)) {
      try FileManager.default.removeItem(at: workspace.url("file"))
      _ = try ModelPackage(contentsOf: workspace.folder)
    }
  }

  func testMetadataThatTheKitCannotHonourIsRefusedThoughItsDigestsAreRight() throws {
    let edits = [
      ("44100", "48000", "asks for sample rate"), ("\"drums\"", "\"dr/ms\"", "has a stem"),
      ("\"drums\"", "\"dr.ms\"", "has a stem"), ("\"drums\"", "\"Drums\"", "has a stem"),
      ("\"drums\"", "\"piano\"", "has no list of different names"), ("sources", "sourceX", "lacks sources"),
      ("1024", "1O24", "has no number as hop_length"), ("11264", "00264", "segments of 264 samples"),
    ]
    let workspace = try Workspace()
    for (old, new, reason) in edits {
      let package = try workspace.copy(of: TestPackages.small())
      try replaceInModel(package, old, new)
      XCTAssertThrowsError(try ModelPackage(contentsOf: package), old) { error in
        guard case .metadata(_, let actual)? = error as? PackageError else { return XCTFail("\(error)") }
        XCTAssertTrue(actual.hasPrefix(reason) || actual.contains(reason), "\(old): \(actual)")
      }
    }
  }

  func testMetadataThatAsksForMoreMemoryThanAnyNetworkIsRefused() throws {
    var entries = try ModelPackage(contentsOf: TestPackages.small()).metadata.entries
    entries["segment_samples"] = "\(60 * 44_100)"
    XCTAssertEqual(try PackageMetadata(entries: entries).segmentSamples, 2_646_000)
    for samples in [60 * 44_100 + 1, 3600 * 44_100, Int.max] {
      entries["segment_samples"] = "\(samples)"
      XCTAssertThrowsError(try PackageMetadata(entries: entries)) { error in
        let reason = (error as? PackageMetadata.Malformed)?.reason ?? ""
        XCTAssertTrue(reason.contains("segments of \(samples) samples"), reason)
      }
    }
    entries["segment_samples"] = "441000"
    for (count, isAccepted) in [(64, true), (65, false)] {
      entries["sources"] = String(decoding: try JSONEncoder().encode((0..<count).map { "s\($0)" }), as: UTF8.self)
      XCTAssertEqual((try? PackageMetadata(entries: entries)) != nil, isAccepted, "\(count) sources")
    }
  }

  func testAModelThatTakesOtherTensorsThanItPromisesIsRefused() throws {
    let workspace = try Workspace()
    let package = try workspace.copy(of: TestPackages.small())
    try replaceInModel(package, "segment_samples\u{12}\u{05}11264", "segment_samples\u{12}\u{05}12288")
    XCTAssertThrowsError(try ModelPackage(contentsOf: package)) { error in
      guard case .features? = error as? PackageError else { return XCTFail("\(error)") }
    }
  }

  /// Replaces text in a model by other text of the same length, and makes the model's own digest right again.
  private func replaceInModel(_ package: URL, _ old: String, _ new: String) throws {
    let file = package.appending(path: Self.model)
    let claimed = try ModelPackage(contentsOf: package).metadata.modelSHA256
    var bytes = try Data(contentsOf: file)
    let place = try XCTUnwrap(bytes.lastRange(of: Data(old.utf8)), old)
    bytes.replaceSubrange(place, with: Data(new.utf8))
    let digest = try XCTUnwrap(bytes.range(of: Data(claimed.utf8)))
    bytes.replaceSubrange(digest, with: Data(String(repeating: "0", count: 64).utf8))
    bytes.replaceSubrange(digest, with: Data(sha256([UInt8](bytes)).utf8))
    try bytes.write(to: file)
  }
}
