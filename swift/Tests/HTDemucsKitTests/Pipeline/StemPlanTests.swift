import XCTest

@testable import HTDemucsKit

final class StemPlanTests: XCTestCase {
  private let available: [StemType] = [.drums, .bass, .vocals]

  func testAllStemsAreGivenInTheModelsOrder() throws {
    let plan = try StemPlan(.all, available: available)
    XCTAssertEqual(plan.sources, [0, 1, 2])
    XCTAssertEqual(plan.outputs, available)
    XCTAssertFalse(plan.hasRest)
  }

  func testChosenStemsAreGivenInTheChosenOrder() throws {
    let plan = try StemPlan(.only([.vocals, .drums]), available: available)
    XCTAssertEqual(plan.sources, [2, 0])
    XCTAssertEqual(plan.outputs, [.vocals, .drums])
  }

  func testTwoStemsAreOneAndTheRest() throws {
    let plan = try StemPlan(.twoStems(.vocals), available: available)
    XCTAssertEqual(plan.sources, [2])
    XCTAssertEqual(plan.outputs.map(\.rawValue), ["vocals", "no_vocals"])
    XCTAssertTrue(plan.hasRest)
  }

  func testUnknownMissingAndRepeatedStemsAreRefused() {
    assertThrows(AudioProcessingError.unknownStem("choir", available: available)) {
      _ = try StemPlan(.only([.drums, StemType(rawValue: "choir")]), available: available)
    }
    assertThrows(AudioProcessingError.unknownStem("piano", available: available)) {
      _ = try StemPlan(.twoStems(.piano), available: available)
    }
    assertThrows(AudioProcessingError.unknownStem("", available: available)) {
      _ = try StemPlan(.only([]), available: available)
    }
    assertThrows(AudioProcessingError.repeatedStem(.drums)) {
      _ = try StemPlan(.only([.drums, .bass, .drums]), available: available)
    }
  }
}
