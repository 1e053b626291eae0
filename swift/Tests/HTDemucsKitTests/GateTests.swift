import XCTest

/// Gates that cannot fail prove nothing: what they must refuse.
final class GateTests: XCTestCase {
  private let reference = noise(1000).map { 0.5 * $0 }

  private func damaged() -> [(String, [Float])] {
    func changed(_ change: (inout [Float]) -> Void) -> [Float] {
      var values = reference
      change(&values)
      return values
    }
    return [
      ("NaN", changed { $0[500] = .nan }), ("infinity", changed { $0[0] = -.infinity }),
      ("a spike", changed { $0[999] = 100 }), ("a shift by one sample", changed { $0 = [$0[999]] + $0.dropLast() }),
      ("another stem", noise(1000, seed: 1).map { 0.5 * $0 }), ("silence", changed { $0 = $0.map { _ in 0 } }),
      ("half the level", changed { $0 = $0.map { 0.5 * $0 } }), ("the other sign", changed { $0 = $0.map { -$0 } }),
      ("a sample too few", Array(reference.dropLast())), ("nothing", []),
    ]
  }

  func testTheSignalToNoiseRatioRefusesWhatIsDamaged() {
    XCTAssertGreaterThan(snrDB(reference.map { $0 * (1 + 1e-6) }, reference: reference), 100)
    for (what, values) in damaged() { XCTAssertFalse(snrDB(values, reference: reference) >= 60, what) }
  }

  func testTheRatioToASilentReferenceIsInfiniteForSilenceOnly() {
    let silence = [Float](repeating: 0, count: 10)
    XCTAssertEqual(snrDB(silence, reference: silence), .infinity)
    XCTAssertEqual(snrDB([1e-9] + silence.dropFirst(), reference: silence), -.infinity)
    XCTAssertEqual(snrDB(silence, reference: [.nan] + silence.dropFirst()), -.infinity)
  }

  func testTheLargestDifferenceRefusesWhatIsDamaged() {
    XCTAssertLessThan(largestDifference(reference.map { $0 + 1e-7 }, reference), 1e-6)
    for (what, values) in damaged() { XCTAssertFalse(largestDifference(values, reference) < 1e-4, what) }
  }

  func testTheToleranceForSpectrogramsRefusesWhatIsDamaged() {
    XCTAssertTrue(zip(reference, reference).allSatisfy(isWithinTolerance))
    XCTAssertTrue(isWithinTolerance(1 + 9e-6, 1))
    for (what, values) in damaged() where values.count == reference.count {
      XCTAssertFalse(zip(values, reference).allSatisfy(isWithinTolerance), what)
    }
  }
}
