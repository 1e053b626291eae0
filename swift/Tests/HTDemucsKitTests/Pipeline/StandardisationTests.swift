import XCTest

@testable import HTDemucsKit

final class StandardisationTests: XCTestCase {
  func testMeanAndDeviationAreThoseOfTheMonoMix() throws {
    let left: [Float] = [1, 2, 3, 4]
    let right: [Float] = [3, 2, 5, 4]
    let measured = try Standardisation.of(
      WaveformTrack(waveform: try Waveform(left + right, signals: 2)).reader())
    // The mono mix is 2, 2, 4, 4: mean 3, squared deviations 4 in sum.
    XCTAssertEqual(measured.shift, 3)
    XCTAssertEqual(measured.scale, Float((4.0 / 3).squareRoot() + 1e-8))
  }

  func testNoFiguresAreLostWhereTheMeanIsLarge() throws {
    let quiet = noise(200_000).map { 1000 + $0 / 1024 }
    let measured = try Standardisation.of(
      WaveformTrack(waveform: try Waveform(quiet + quiet, signals: 2)).reader())
    let mean = quiet.reduce(0) { $0 + Double($1) } / 200_000
    let variance = quiet.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / 199_999
    XCTAssertEqual(Double(measured.scale), variance.squareRoot() + 1e-8, accuracy: 1e-9)
  }

  func testSilenceAndASingleSampleHaveNoDeviation() throws {
    let silence = try Standardisation.of(
      WaveformTrack(waveform: try Waveform([0, 0, 0, 0], signals: 2)).reader())
    XCTAssertEqual(silence, Standardisation(shift: 0, scale: 1e-8))
    let single = try Standardisation.of(
      WaveformTrack(waveform: try Waveform([0.5, 0.25], signals: 2)).reader())
    XCTAssertEqual(single, Standardisation(shift: 0.375, scale: 1e-8))
  }

  func testMeasuringALongTrackCanBeCancelled() async throws {
    let track = WaveformTrack(waveform: try stereoNoise(100))
    await assertIsCancelled { _ = try Standardisation.of(track.reader()) }
  }

  func testUndoUndoesApply() throws {
    let standardisation = Standardisation(shift: 0.125, scale: 0.5)
    var samples = try stereoNoise(100)
    let original = samples
    standardisation.apply(to: &samples)
    XCTAssertGreaterThan(largestDifference(samples.values, original.values), 0.1)
    standardisation.undo(on: &samples)
    XCTAssertLessThan(largestDifference(samples.values, original.values), 1e-6)
  }
}
