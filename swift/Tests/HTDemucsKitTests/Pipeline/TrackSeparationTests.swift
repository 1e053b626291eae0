import XCTest

@testable import HTDemucsKit

final class TrackSeparationTests: XCTestCase {
  private let segmentSamples = 4410

  func testAPassThroughGivesTheMixBackForAnyLengthFromOneSampleUp() async throws {
    for plan in try plans() {
      for samples in [1, 2, 1000, 3527, 3528, 3529, 4409, 4410, 4411, 9999, 20_000] {
        let mix = try stereoNoise(samples)
        let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples)
        for stem in try await separate(mix, model, plan) {
          XCTAssertLessThan(largestDifference(stem.values, mix.values), 1e-6, "\(plan.name), \(samples) samples")
        }
        XCTAssertEqual(model.predictions, plan.segmentCount(trackSamples: samples))
      }
    }
  }

  func testWhatGoesThroughTheSpectrogramComesBackToo() async throws {
    let mix = try Waveform(swellingTone(8000) + swellingTone(8000).map { -$0 }, signals: 2)
    let plan = try ChunkPlan.design(segmentSamples: 10_000)
    let stems = try await separate(mix, .spectrogramGains([1, 0.25], segmentSamples: 10_000), plan)
    // The inverse undoes what is further than 1.5 hops from both ends of the only segment.
    let inner = 1536..<8000
    for (stem, gain) in zip(stems, [Float(1), 0.25]) {
      let expected = mix.samples(inner).values.map { gain * $0 }
      XCTAssertLessThan(largestDifference(stem.samples(inner).values, expected), 1e-4)
    }
  }

  func testSegmentsArePlacedPaddedAndTrimmedAsThePlanSays() async throws {
    for plan in try plans() {
      for samples in [1, 700, 4410, 9001, 13_337] {
        let mix = try stereoNoise(samples, seed: 5)
        let stems = try await separate(mix, .contextDependent(segmentSamples: segmentSamples), plan)
        let expected = try definedSeparation(mix, plan)
        for place in 0..<2 {
          XCTAssertGreaterThanOrEqual(
            snrDB(stems[place].values, reference: expected[place]), 120, "\(plan.name), \(samples) samples")
        }
      }
    }
  }

  func testOnlyChosenStemsAreGivenInTheChosenOrder() async throws {
    let mix = try stereoNoise(6000)
    let model = FakeModel.gains([1, 2, 3], sources: [.drums, .bass, .other], segmentSamples: segmentSamples)
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let stems = try await separate(mix, model, plan, sources: [2, 0])
    XCTAssertEqual(stems.count, 2)
    XCTAssertLessThan(largestDifference(stems[0].values, mix.values.map { 3 * $0 }), 4e-6)
    XCTAssertLessThan(largestDifference(stems[1].values, mix.values), 4e-6)
  }

  func testSilenceStaysSilence() async throws {
    for plan in try plans() {
      let mix = try Waveform([Float](repeating: 0, count: 2 * 9000), signals: 2)
      let stems = try await separate(mix, .contextDependent(segmentSamples: segmentSamples), plan)
      XCTAssertTrue(stems.allSatisfy { $0.values.allSatisfy { $0 == 0 } })
    }
  }

  func testPiecesAreConsecutiveAndProgressCountsSegments() async throws {
    let mix = try stereoNoise(12_345)
    let plan = try ChunkPlan.design(segmentSamples: segmentSamples)
    let separator = try SegmentSeparator(model: FakeModel.gains([1, 1], segmentSamples: segmentSamples))
    let separation = TrackSeparation(
      separator: separator, plan: plan, sources: [0, 1], track: WaveformTrack(waveform: mix))
    var (told, lengths): ([[Int]], [Int]) = ([], [])
    let reports = try await separation.run(
      progress: { told.append([$0, $1]) }, deliver: { lengths.append($0.samples) })
    XCTAssertEqual(told, [[0, 4], [1, 4], [2, 4], [3, 4], [4, 4]])
    XCTAssertEqual(lengths, [3528, 3528, 3528, 12_345 - 3 * 3528])
    XCTAssertEqual(reports.map(\.index), [0, 1, 2, 3])
    XCTAssertEqual(reports[2].startSeconds, 2 * 3528 / 44_100, accuracy: 1e-12)
    XCTAssertTrue(reports.allSatisfy { $0.transformSeconds > 0 && $0.inverseSeconds > 0 && $0.networkSeconds > 0 })
  }

  func testCancellationEndsATrackAfterTheSegmentThoughTheNetworkTakesNoNotice() async throws {
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples)
    let separation = TrackSeparation(
      separator: try SegmentSeparator(model: model), plan: try plans()[0], sources: [0, 1],
      track: WaveformTrack(waveform: try stereoNoise(20_000)))
    let task = Task {
      _ = try await separation.run(
        progress: { done, _ in if done == 1 { withUnsafeCurrentTask { $0?.cancel() } } }, deliver: { _ in })
    }
    do {
      try await task.value
      XCTFail("a cancelled separation ended well")
    } catch {
      XCTAssertTrue(error is CancellationError, "\(error)")
    }
    XCTAssertEqual(model.predictions, 1)
  }

  func testAPlanThatDoesNotFitTheNetworkIsRefused() async throws {
    let model = FakeModel.gains([1, 1], segmentSamples: segmentSamples)
    do {
      _ = try await separate(try stereoNoise(10), model, try ChunkPlan.demucs())
      XCTFail("the plan was accepted")
    } catch {
      XCTAssertEqual(
        error as? AudioProcessingError,
        .planDoesNotFit(plan: .demucs, planSegmentSamples: 343_980, packageSegmentSamples: segmentSamples))
    }
    XCTAssertEqual(model.predictions, 0)
  }

  func testATrackWithoutSamplesIsRefused() async throws {
    do {
      _ = try await separate(
        Waveform(signals: 2, samples: 0), .gains([1, 1], segmentSamples: segmentSamples), try plans()[0])
      XCTFail("the track was accepted")
    } catch {
      XCTAssertEqual(error as? AudioProcessingError, .emptyTrack(samples: 0))
    }
  }

  private func plans() throws -> [ChunkPlan] {
    [
      try .design(segmentSamples: segmentSamples), try .design(overlap: 0, segmentSamples: segmentSamples),
      try .demucs(segmentSamples: segmentSamples),
    ]
  }
}

/// A network's stems of a track, whole.
func separate(
  _ mix: Waveform, _ model: FakeModel, _ plan: ChunkPlan, sources: [Int]? = nil, smaller: FakeModel? = nil
) async throws -> [Waveform] {
  let separator = try SegmentSeparator(model: model, smaller: smaller.map { try SegmentSeparator(model: $0) })
  let sources = sources ?? Array(model.sources.indices)
  let separation = TrackSeparation(
    separator: separator, plan: plan, sources: sources, track: WaveformTrack(waveform: mix))
  var channels = [[Float]](repeating: [], count: 2 * sources.count)
  try await separation.run { piece in for signal in channels.indices { channels[signal] += piece[signal] } }
  return try sources.indices.map { try Waveform(channels[2 * $0] + channels[2 * $0 + 1], signals: 2) }
}

/// Separation by its definition in Double, over whole arrays, written without a look at `TrackSeparation`.
private func definedSeparation(_ mix: Waveform, _ plan: ChunkPlan) throws -> [[Float]] {
  let samples = mix.samples
  let channels = [Array(mix[0]), Array(mix[1])]
  var (mean, deviation) = (0.0, 1.0)
  if plan.standardisesTrack {
    let mono = (0..<samples).map { (Double(channels[0][$0]) + Double(channels[1][$0])) / 2 }
    mean = mono.reduce(0, +) / Double(samples)
    deviation = samples < 2 ? 0 : (mono.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(samples - 1)).squareRoot()
    deviation += 1e-8
  }
  var sums = [[Double]](repeating: [Double](repeating: 0, count: 2 * samples), count: 2)
  var weights = [Double](repeating: 0, count: samples)
  for segment in try plan.segments(trackSamples: samples) {
    let context = channels.map { channel in
      (segment.contextStart..<segment.contextStart + plan.segmentSamples).map {
        channel.indices.contains($0) ? Float((Double(channel[$0]) - mean) / deviation) : 0
      }
    }
    for (stem, stemChannels) in contextDependentStems(context).enumerated() {
      for (channel, values) in stemChannels.enumerated() {
        for (offset, weight) in segment.weights.enumerated() {
          let value = Double(values[segment.inContext.lowerBound + offset])
          sums[stem][channel * samples + segment.start + offset] += Double(weight) * value
        }
      }
    }
    for (offset, weight) in segment.weights.enumerated() { weights[segment.start + offset] += Double(weight) }
  }
  return sums.map { stem in
    stem.enumerated().map { Float($1 / weights[$0 % samples] * deviation + mean) }
  }
}
