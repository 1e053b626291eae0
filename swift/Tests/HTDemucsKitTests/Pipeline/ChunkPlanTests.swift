import Foundation
import HTDemucsKit
import XCTest

final class ChunkPlanTests: XCTestCase {
  func testDesignLiesAtEveryEightSecondsWithRampsOfOne() throws {
    let plan = try ChunkPlan.design()
    XCTAssertEqual([plan.segmentSamples, plan.strideSamples, plan.rampSamples], [441_000, 352_800, 44_100])
    XCTAssertFalse(plan.standardisesTrack)
    let segments = Array(try plan.segments(trackSamples: 1_000_000))
    XCTAssertEqual(segments.map(\.index), [0, 1, 2])
    XCTAssertEqual(segments.map(\.start), [0, 352_800, 705_600])
    XCTAssertEqual(segments.map(\.contextStart), [0, 352_800, 705_600])
    XCTAssertEqual(segments.map(\.stop), [441_000, 793_800, 1_000_000])
    XCTAssertEqual(segments[2].inContext, 0..<294_400)

    XCTAssertEqual(segments[0].weights[0], 1, "no ramp at the track's start")
    XCTAssertEqual(segments[1].weights[0], 0)
    XCTAssertEqual(segments[1].weights[11_025], 0.25)
    XCTAssertEqual(segments[1].weights[44_100], 1)
    XCTAssertEqual(segments[1].weights[441_000 - 44_100], 1)
    XCTAssertEqual(segments[1].weights[441_000 - 11_025], 0.25)
    XCTAssertEqual(segments[1].weights.last, 1 / 44_100)
    XCTAssertEqual(segments[2].weights.last, 1, "no ramp at the track's end")
  }

  func testThereIsASegmentForEveryStrideThatIsBegun() throws {
    let plan = try ChunkPlan.design()
    let counts = [-1: 0, 0: 0, 1: 1, 352_800: 1, 352_801: 2, Int.max: (Int.max - 1) / 352_800 + 1]
    for (samples, count) in counts { XCTAssertEqual(plan.segmentCount(trackSamples: samples), count, "\(samples)") }
  }

  func testRampsRiseAsTheyAreCalled() throws {
    let rises: [ChunkPlan.Ramp: (Double) -> Double] = [
      .linear: { $0 }, .cosine: { sin(Double.pi / 2 * $0) }, .hann: { 0.5 - 0.5 * cos(Double.pi * $0) },
    ]
    for ramp in ChunkPlan.Ramp.allCases {
      let rise = try XCTUnwrap(rises[ramp])
      let plan = try ChunkPlan.design(ramp: ramp, segmentSamples: 1000)
      let weights = try XCTUnwrap(plan.segments(trackSamples: 5000).dropFirst().first).weights
      for step in 0..<100 {
        XCTAssertEqual(Double(weights[step]), rise(Double(step) / 100), accuracy: 6e-8)
        XCTAssertEqual(Double(weights[900 + step]), rise(1 - Double(step) / 100), accuracy: 6e-8)
      }
    }
  }

  func testDemucsIsTriangularAndCentresTheLastSegmentOnItsContext() throws {
    let plan = try ChunkPlan.demucs()
    XCTAssertEqual([plan.segmentSamples, plan.strideSamples, plan.rampSamples], [343_980, 257_985, 0])
    XCTAssertTrue(plan.standardisesTrack)
    let segments = Array(try plan.segments(trackSamples: 500_000))
    XCTAssertEqual(segments.map(\.start), [0, 257_985])
    XCTAssertEqual(segments.map(\.stop), [343_980, 500_000])
    // 101,965 samples are missing: 50,982 of context before, 50,983 after.
    XCTAssertEqual(segments.map(\.contextStart), [0, 257_985 - 50_982])
    XCTAssertEqual(segments[1].inContext, 50_982..<50_982 + 242_015)
    XCTAssertEqual(segments[0].weights[0], 1 / 171_990)
    XCTAssertEqual(segments[0].weights[171_989], 1)
    XCTAssertEqual(segments[0].weights[171_990], 1)
    XCTAssertEqual(segments[0].weights.last, 1 / 171_990)
    XCTAssertEqual(segments[1].weights, Array(segments[0].weights.prefix(242_015)))
  }

  func testAnOddTriangleHasOnePeak() throws {
    let weights = try XCTUnwrap(ChunkPlan.demucs(segmentSamples: 5).segments(trackSamples: 5).first).weights
    XCTAssertEqual(weights, [1.0 / 3, 2.0 / 3, 1, 2.0 / 3, 1.0 / 3])
  }

  func testEverySampleOfATrackOfAnyLengthCounts() throws {
    var plans: [ChunkPlan] = []
    for overlap in [0, 0.2, 0.25, 0.5, 0.75, 0.9] {
      plans += try ChunkPlan.Ramp.allCases.map {
        try ChunkPlan.design(overlap: overlap, ramp: $0, segmentSamples: 100)
      }
      plans += [try ChunkPlan.demucs(overlap: overlap, segmentSamples: 101)]
    }
    for plan in plans {
      for trackSamples in [1, 2, 79, 80, 81, 99, 100, 101, 102, 333, 1000] {
        var weights = [Float](repeating: 0, count: trackSamples)
        for segment in try plan.segments(trackSamples: trackSamples) {
          XCTAssertEqual(segment.weights.count, segment.stop - segment.start)
          XCTAssertTrue(
            0 <= segment.inContext.lowerBound && segment.inContext.upperBound <= plan.segmentSamples)
          for (place, weight) in zip(segment.start..<segment.stop, segment.weights) {
            XCTAssertGreaterThanOrEqual(weight, 0)
            weights[place] += weight
          }
        }
        XCTAssertTrue(weights.allSatisfy { $0 > 0 }, "\(plan.name), \(plan.strideSamples), \(trackSamples)")
      }
    }
  }

  func testThePlanFollowsFromThePackage() throws {
    XCTAssertEqual(try ChunkPlan.fitting(segmentSamples: 441_000), try ChunkPlan.design())
    XCTAssertEqual(try ChunkPlan.fitting(segmentSamples: 343_980), try ChunkPlan.demucs())
    XCTAssertEqual(
      try ChunkPlan.fitting(segmentSamples: 343_980, overlap: 0.5).strideSamples, 171_990)
  }

  func testTheVariantOfAPlanIsThePythonToolsDefault() throws {
    let path = "../../../../py/src/htdemucs_coreml/convert/variants.toml"
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: path)
    let text = try String(contentsOf: file.standardizedFileURL, encoding: .utf8)
    let names = text.matches(of: /(?m)^\["?([\w-]+)"?\]\n(?:[^\[\n]+\n)*?default = true$/).map { String($0.1) }
    XCTAssertEqual(names, [ChunkPlan.Name.design.standardVariant])
    XCTAssertEqual(names.map { $0 + "-7_8s" }, [ChunkPlan.Name.demucs.standardVariant])
  }

  func testAPlanThatDoesNotFitNamesTheVariantAndThePlanThatWould() throws {
    let error = AudioProcessingError.planDoesNotFit(
      plan: .design, planSegmentSamples: 441_000, packageSegmentSamples: 343_980)
    assertThrows(error) { _ = try ChunkPlan.fitting(segmentSamples: 343_980, name: .design) }
    XCTAssertEqual(
      error.errorDescription,
      "Chunk plan design needs segments of 441000 samples (10 s), but this package's have 343980 samples (7.8 s)."
    )
    XCTAssertEqual(error.recoverySuggestion, "Take a package of variant mixed or plan demucs.")

    assertThrows(AudioProcessingError.noPlan(packageSegmentSamples: 22_050)) {
      _ = try ChunkPlan.fitting(segmentSamples: 22_050)
    }
  }

  func testAnOverlapOutOfRangeIsRefused() {
    for overlap in [-0.1, 1, 2, -.infinity, .infinity] {
      assertThrows(AudioProcessingError.overlap(overlap)) { _ = try ChunkPlan.design(overlap: overlap) }
      assertThrows(AudioProcessingError.overlap(overlap)) { _ = try ChunkPlan.demucs(overlap: overlap) }
    }
    XCTAssertThrowsError(try ChunkPlan.design(overlap: .nan))
    assertThrows(AudioProcessingError.overlap(0.9)) {
      _ = try ChunkPlan.design(overlap: 0.9, segmentSamples: 5)
    }
  }

  func testATrackWithoutSamplesIsRefused() throws {
    let plan = try ChunkPlan.design()
    for samples in [0, -1] {
      assertThrows(AudioProcessingError.emptyTrack(samples: samples)) {
        _ = try plan.segments(trackSamples: samples)
      }
    }
  }
}
