import Foundation
import HTDemucsKit
import XCTest

final class AudioProcessingErrorTests: XCTestCase {
  func testEveryErrorSaysWhatHappenedAndWhatToDo() {
    let errors: [(AudioProcessingError, String)] = [
      (.transformSize(samples: 1000), "1000"),
      (.tooShort(samples: 12, requiredSamples: 4096), "4096"),
      (.nonFiniteSample(signal: 1, sample: 77), "77"),
      (.nonFiniteSpectrogram(signal: 1, bin: 2, frame: 33), "33"),
      (.bufferSize(buffer: "real", values: 5, requiredValues: 6), "real"),
      (.binCount(bins: 2049, requiredBins: 2048), "2049"),
      (.frameCount(frames: 3, samples: 10_000, requiredFrames: 10), "10000"),
      (.overlap(1.5), "1.5"),
      (.emptyTrack(samples: 0), "0"),
      (.planDoesNotFit(plan: .demucs, planSegmentSamples: 343_980, packageSegmentSamples: 441_000), "441000"),
      (.noPlan(packageSegmentSamples: 22_050), "22050"),
    ]
    for (error, value) in errors {
      let description = error.errorDescription ?? ""
      XCTAssertTrue(description.contains(value), description)
      XCTAssertEqual(error.localizedDescription, description)
      XCTAssertFalse((error.recoverySuggestion ?? "").isEmpty, description)
    }
  }
}
