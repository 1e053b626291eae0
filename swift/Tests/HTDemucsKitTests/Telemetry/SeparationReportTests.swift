import Foundation
import XCTest

@testable import HTDemucsKit

final class SeparationReportTests: XCTestCase {
  private func report() -> SeparationReport {
    var segment = SegmentReport(index: 3, startSeconds: 24)
    segment.failures = ["out of memory"]
    return SeparationReport(
      model: "htdemucs_6s", variant: "float32", packageSHA256: "00", plan: .design, computeUnits: .cpuAndGPU,
      computeUnitPlan: ComputeUnitPlan(cpuOperations: 1, gpuOperations: 2, neuralEngineOperations: 0),
      audioSeconds: 30, sampleRateHz: 48_000, wallSeconds: 10, loadSeconds: 1, peakMemoryBytes: 1 << 30,
      segments: [segment], warnings: [.retried(segment: 3)])
  }

  func testFactsFollowFromFigures() {
    XCTAssertEqual(report().realTimeFactor, 3)
    XCTAssertEqual(report().retries, 1)
    XCTAssertEqual(report().computeUnitPlan?.operations, 3)
  }

  func testJSONHasKeysInSnakeCase() throws {
    let json = try XCTUnwrap(JSONSerialization.jsonObject(with: report().json()) as? [String: Any])
    XCTAssertEqual(json["package_sha256"] as? String, "00")
    XCTAssertEqual(json["peak_memory_bytes"] as? Int, 1 << 30)
    XCTAssertEqual(json["compute_units"] as? String, "cpuAndGPU")
    let segments = try XCTUnwrap(json["segments"] as? [[String: Any]])
    XCTAssertEqual(segments[0]["network_seconds"] as? Double, 0)
    XCTAssertEqual(segments[0]["failures"] as? [String], ["out of memory"])
  }

  func testWarningsAreGivenWhereTheyAreDue() {
    func warnings(
      minutes: Double = 3, sampleRateHz: Double = 44_100, segments: [SegmentReport] = [],
      units: ComputeUnits = .all, plan: ComputeUnitPlan? = nil
    ) -> [SeparationWarning] {
      SeparationWarning.of(
        audioSeconds: 60 * minutes, sampleRateHz: sampleRateHz, segments: segments, computeUnits: units,
        computeUnitPlan: plan)
    }
    XCTAssertEqual(warnings(), [])
    XCTAssertEqual(warnings(minutes: 30), [])
    XCTAssertEqual(warnings(minutes: 31), [.longTrack(minutes: 31)])
    XCTAssertEqual(warnings(sampleRateHz: 22_050), [.resampled(fromHz: 22_050)])
    let onCPU = ComputeUnitPlan(cpuOperations: 5, gpuOperations: 800, neuralEngineOperations: 0)
    XCTAssertEqual(warnings(plan: onCPU), [.partlyOnCPU(operations: 5, of: 805)])
    XCTAssertEqual(warnings(units: .cpuOnly, plan: onCPU), [])
    var (retried, divided) = (SegmentReport(index: 1, startSeconds: 8), SegmentReport(index: 2, startSeconds: 16))
    retried.failures = ["once"]
    divided.failures = ["once", "twice"]
    divided.usedSmallerSegments = true
    XCTAssertEqual(
      warnings(segments: [SegmentReport(index: 0, startSeconds: 0), retried, divided]),
      [.retried(segment: 1), .smallerSegments(segment: 2)])
  }

  func testLossesOfAFileAreWarnedOf() {
    XCTAssertEqual(SeparationWarning.of(StemFile.Losses(), stem: .bass), [])
    XCTAssertEqual(
      SeparationWarning.of(StemFile.Losses(cutSamples: 2, attenuationDB: 3), stem: .bass),
      [.madeQuieter(stem: .bass, decibels: 3), .cut(stem: .bass, samples: 2)])
  }

  func testEveryWarningIsASentence() {
    let warnings: [SeparationWarning] = [
      .longTrack(minutes: 95), .resampled(fromHz: 48_000), .cut(stem: .drums, samples: 12),
      .madeQuieter(stem: .bass, decibels: 1.5), .retried(segment: 4), .smallerSegments(segment: 5),
      .partlyOnCPU(operations: 7, of: 800),
    ]
    for (warning, figure) in zip(warnings, ["95", "48000", "12", "1.5", "4", "5", "7"]) {
      XCTAssertTrue(warning.description.contains(figure), warning.description)
      XCTAssertTrue(warning.description.hasSuffix("."), warning.description)
    }
  }

  func testADurationIsItsSecondsAndTheirParts() {
    XCTAssertEqual((Duration.seconds(90) + .milliseconds(250)).seconds, 90.25)
  }

  func testTimeThatRemainsFollowsFromTimeThatWent() {
    XCTAssertNil(SeparationProgress(segmentsDone: 0, segmentsTotal: 4, elapsedSeconds: 0).remainingSeconds)
    let progress = SeparationProgress(segmentsDone: 1, segmentsTotal: 4, elapsedSeconds: 2.5)
    XCTAssertEqual(progress.remainingSeconds, 7.5)
    XCTAssertEqual(progress.fraction, 0.25)
  }
}
