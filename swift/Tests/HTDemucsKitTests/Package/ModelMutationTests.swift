import Foundation
import XCTest

@testable import HTDemucsKit

/// Damaged models are refused by an error of the kit's; nothing else happens.
final class ModelMutationTests: XCTestCase {
  private let model = "Data/com.apple.CoreML/model.mlmodel"

  func testMutationsOfAModelsDescriptionAreHarmless() throws {
    // The description stands at the model's start, before the program.
    let original = Array(try Data(contentsOf: TestPackages.small().appending(path: model)).prefix(3000))
    var random = SplitMix(seed: 4)
    let count = mutationCount(otherwise: 2000)
    var refused = 0
    for _ in 0..<count {
      do {
        let description = try ModelDescription(serialised: mutated(original, &random))
        _ = try PackageMetadata(entries: description.userDefined)
      } catch is ProtobufReader.Malformed {
        refused += 1
      } catch is PackageMetadata.Malformed {
        refused += 1
      }
    }
    XCTAssertGreaterThan(refused, count / 20, "the mutations hardly touch anything")
  }

  func testAnArrayOfMoreAxesThanCoreMLHasIsRefused() throws {
    // Description (2), input (1), type (3), array (5), shape (1) as numbers one by one.
    func model(axes: Int) -> [UInt8] {
      func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(content.count)] + content }
      return field(2, field(1, field(3, field(5, Array([[UInt8]](repeating: [0x08, 2], count: axes).joined())))))
    }
    XCTAssertEqual(try ModelDescription(serialised: model(axes: 5)).inputs.map(\.shape), [[2, 2, 2, 2, 2]])
    XCTAssertThrowsError(try ModelDescription(serialised: model(axes: 6)))
  }

  func testMutationsOfAPackageAreRefused() throws {
    let workspace = try Workspace()
    let package = try workspace.copy(of: TestPackages.small())
    let file = package.appending(path: model)
    let original = [UInt8](try Data(contentsOf: file))
    var random = SplitMix(seed: 5)
    for _ in 0..<mutationCount(otherwise: 20) {
      let changed = mutated(original, &random)
      if changed == original { continue }
      try Data(changed).write(to: file)
      XCTAssertThrowsError(try ModelPackage(contentsOf: package)) { XCTAssertTrue($0 is PackageError, "\($0)") }
    }
  }
}
