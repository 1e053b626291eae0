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
      (.unreadableFile(path: "/a/song.wav", reason: "there is no such file"), "/a/song.wav"),
      (.truncatedFile(path: "/a/song.wav", missing: "12 bytes"), "12 bytes"),
      (.channels(0, reason: .none), "0"),
      (.channels(6, reason: .downmixIsOff), "6"),
      (.channels(7, reason: .unknownLayout), "7"),
      (.resampling(fromHz: 1, toHz: 44_100, reason: "the rates are too far apart"), "44100"),
      (.floatingPointFLAC, "float32"),
      (.unwritable(path: "/a/stems", reason: "No space left on device"), "No space left on device"),
      (.wouldReplaceInput(path: "/a/vocals.wav"), "/a/vocals.wav"),
      (.unknownStem("choir", available: [.drums, .bass]), "drums, bass"),
      (.unknownStem("", available: [.drums]), "No stem"),
      (.repeatedStem(.piano), "piano"),
      (.inferenceFailed(segment: 12, reason: "out of memory"), "12"),
      (.unexpectedOutput(output: "stems_real", reason: "it is missing"), "stems_real"),
      (.nonFiniteOutput(stem: .guitar, segment: 3), "guitar"),
    ]
    assertDescribed(errors)
  }

  func testEveryPackageErrorSaysWhatHappenedAndWhatToDo() {
    assertDescribed([
      (PackageError.notFound(path: "/a/x.mlpackage"), "/a/x.mlpackage"),
      (.compiledModel(path: "/a/x.mlmodelc"), "/a/x.mlmodelc"),
      (.incomplete(path: "/a/x.mlpackage", file: "Manifest.json"), "Manifest.json"),
      (.foreignFile(path: "/a/x.mlpackage", file: "notes.txt"), "notes.txt"),
      (.unreadable(path: "/a/x.mlpackage", file: "weight.bin", reason: "Permission denied"), "Permission denied"),
      (.tooLarge(path: "/a/x.mlpackage", file: "weight.bin", bytes: 9_000_000_000, limitBytes: 1), "9000000000"),
      (.damaged(path: "/a/x.mlpackage", file: "weight.bin", sha256: "00", requiredSHA256: "ff"), "ff"),
      (.malformedModel(path: "/a/x.mlpackage", reason: "a field is cut short"), "cut short"),
      (.metadata(path: "/a/x.mlpackage", reason: "lacks sources"), "lacks sources"),
      (.features(path: "/a/x.mlpackage", actual: "waveform", promised: "stems"), "stems"),
      (.unrelatedFallback(path: "/a/x.mlpackage", reason: "it was made from other weights"), "other weights"),
      (.notLoadable(path: "/a/x.mlpackage", reason: "Unknown operation."), "Unknown operation"),
      (.cache(folder: "/a/caches", reason: "No space left on device"), "/a/caches"),
    ])
  }

  private func assertDescribed(_ errors: [(some LocalizedError, String)]) {
    for (error, value) in errors {
      let description = error.errorDescription ?? ""
      XCTAssertTrue(description.contains(value), description)
      XCTAssertEqual(error.localizedDescription, description)
      XCTAssertFalse((error.recoverySuggestion ?? "").isEmpty, description)
    }
  }
}
