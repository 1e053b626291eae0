import XCTest

@testable import HTDemucsKit

final class SegmentSeparatorTests: XCTestCase {
  private let segmentSamples = 5000

  func testOutputsMayLieInMemoryInAnyWay() async throws {
    let mix = try stereoNoise(segmentSamples)
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let gains: [Float] = [0.75, -0.5]
    let dense = try await separate(mix, .spectrogramGains(gains, segmentSamples: segmentSamples), plan)
    XCTAssertGreaterThan(snrDB(dense[0].values, reference: dense[1].values.map { -1.5 * $0 }), 100)
    for layout in FakeModel.Layout.allCases {
      let model = FakeModel.spectrogramGains(gains, segmentSamples: segmentSamples, layout: layout)
      let stems = try await separate(mix, model, plan)
      XCTAssertTrue(stems == dense, "\(layout)")
      let waveforms = try await separate(mix, .gains(gains, segmentSamples: segmentSamples, layout: layout), plan)
      XCTAssertLessThan(
        largestDifference(waveforms[1].values, mix.values.map { -0.5 * $0 }), 1e-7, "\(layout)")
    }
  }

  func testAFailureIsTriedOnceMoreAndReported() async throws {
    let (stems, reports) = try await separateTwoSegments([.none, .failure])
    XCTAssertEqual(stems, 2)
    XCTAssertEqual(reports.map(\.failures), [[], ["the model was made to fail"]])
    XCTAssertEqual(reports.map(\.usedSmallerSegments), [false, false])
  }

  func testAnAnswerThatIsNotTheContractsIsNotAskedForAgain() async throws {
    let expected = AudioProcessingError.unexpectedOutput(output: "stems_real", reason: "it is missing")
    for (misfortunes, predictions): ([FakeModel.Misfortune], Int) in [
      ([.wrongOutput], 1), ([.failure, .wrongOutput], 2),
    ] {
      let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples, misfortunes: misfortunes)
      let smaller = FakeModel.gains([1, 1], segmentSamples: 4100)
      do {
        let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
        _ = try await separate(try stereoNoise(100), model, plan, smaller: smaller)
        XCTFail("the answer was accepted")
      } catch {
        XCTAssertEqual(error as? AudioProcessingError, expected)
      }
      XCTAssertEqual([model.predictions, smaller.predictions], [predictions, 0])
    }
  }

  func testTwoFailuresInARowAreAnErrorThatNamesTheSegment() async throws {
    do {
      _ = try await separateTwoSegments([.none, .failure, .failure])
      XCTFail("the second failure was not told")
    } catch {
      XCTAssertEqual(
        error as? AudioProcessingError, .inferenceFailed(segment: 1, reason: "the model was made to fail"))
    }
  }

  func testTwoFailuresInARowGoThroughSmallerSegmentsWhereThereAreSuch() async throws {
    let smaller = FakeModel.gains([1, 3], segmentSamples: 4100)
    let mix = try stereoNoise(8000)
    let model = FakeModel.gains([1, 3], segmentSamples: segmentSamples, misfortunes: [.none, .failure, .failure])
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let stems = try await separate(mix, model, plan, smaller: smaller)
    XCTAssertGreaterThanOrEqual(smaller.predictions, 2)
    XCTAssertLessThan(largestDifference(stems[0].values, mix.values), 4e-6)
    XCTAssertLessThan(largestDifference(stems[1].values, mix.values.map { 3 * $0 }), 8e-6)

    let (_, reports) = try await separateTwoSegments([.none, .failure, .failure], smaller: smaller)
    XCTAssertEqual(reports.map(\.usedSmallerSegments), [false, true])
    XCTAssertEqual(reports[1].failures.count, 2)
    XCTAssertTrue(reports.allSatisfy { $0.networkSeconds > 0 })
  }

  func testFailuresInSmallerSegmentsAreReportedAndNameTheSegmentOfTheTrack() async throws {
    func smaller(_ misfortunes: [FakeModel.Misfortune]) -> FakeModel {
      .gains([1, 2], segmentSamples: 4100, misfortunes: misfortunes)
    }
    let twice: [FakeModel.Misfortune] = [.none, .failure, .failure]
    let (_, reports) = try await separateTwoSegments(twice, smaller: smaller([.failure]))
    XCTAssertEqual(reports[1].failures.count, 3)
    let hopeless: [(FakeModel.Misfortune, AudioProcessingError)] = [
      (.failure, .inferenceFailed(segment: 1, reason: "the model was made to fail")),
      (.nan(source: 1), .nonFiniteOutput(stem: .vocals, segment: 1)),
    ]
    for (misfortune, expected) in hopeless {
      do {
        _ = try await separateTwoSegments(twice, smaller: smaller([misfortune, misfortune]))
        XCTFail("\(misfortune) was accepted")
      } catch {
        XCTAssertEqual(error as? AudioProcessingError, expected)
      }
    }
  }

  func testNaNAndInfinityAreRefusedWithTheirStemAndSegment() async throws {
    for (misfortune, stem) in [(FakeModel.Misfortune.nan(source: 1), StemType.vocals), (.spike(source: 0), .drums)] {
      do {
        _ = try await separateTwoSegments([.none, misfortune])
        XCTFail("\(misfortune) was accepted")
      } catch {
        XCTAssertEqual(error as? AudioProcessingError, .nonFiniteOutput(stem: stem, segment: 1))
      }
    }
  }

  func testNaNInAStemThatNobodyAskedForDoesNotMatter() async throws {
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples, misfortunes: [.nan(source: 1)])
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let stems = try await separate(try stereoNoise(100), model, plan, sources: [0])
    XCTAssertTrue(stems[0].values.allSatisfy(\.isFinite))
  }

  func testCancellationStopsWithinASegmentAndIsNotTriedAgain() async throws {
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples, misfortunes: [.hang, .hang])
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let mix = try stereoNoise(100)
    let task = Task { try await separate(mix, model, plan) }
    while model.predictions == 0 { try await Task.sleep(for: .milliseconds(2)) }
    task.cancel()
    do {
      _ = try await task.value
      XCTFail("a cancelled separation ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    XCTAssertEqual(model.predictions, 1)
  }

  private func separateTwoSegments(
    _ misfortunes: [FakeModel.Misfortune], smaller: FakeModel? = nil
  ) async throws -> (stems: Int, reports: [SegmentReport]) {
    let model = FakeModel.gains([1, 2], segmentSamples: segmentSamples, misfortunes: misfortunes)
    let separator = try SegmentSeparator(model: model, smaller: smaller.map { try SegmentSeparator(model: $0) })
    let separation = TrackSeparation(
      separator: separator, plan: try .design(segmentSamples: segmentSamples), sources: [0, 1],
      track: WaveformTrack(waveform: try stereoNoise(8000)))
    var signals = 0
    let reports = try await separation.run { signals = $0.signals }
    return (signals / 2, reports)
  }
}
