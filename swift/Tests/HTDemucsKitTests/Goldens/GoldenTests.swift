import HTDemucsKit
import XCTest

/// Agreement with Python's numbers.
///
/// The names come from the manifest; minimum counts keep an empty one from passing.
final class GoldenTests: XCTestCase {
  func testSpectrogramsAreUpstreams() throws {
    let goldens = try GoldenStore.small()
    let signals = goldens.names(below: "stft", endingIn: "input")
    XCTAssertGreaterThanOrEqual(signals.count, 8)
    for signal in signals {
      let input = try waveform(goldens, "stft/\(signal)/input")
      try assertSpectrogram(goldens, "stft/\(signal)", of: input, framing: .demucs)
    }
  }

  func testSpectrogramsOfAllBinsAreTorchs() throws {
    let goldens = try GoldenStore.small()
    let signals = goldens.names(below: "torch_stft", endingIn: "spectrogram_real")
    XCTAssertGreaterThanOrEqual(signals.count, 1)
    for signal in signals {
      let input = try waveform(goldens, "stft/\(signal)/input")
      try assertSpectrogram(goldens, "torch_stft/\(signal)", of: input, framing: .centred)
    }
  }

  func testWaveformsAreUpstreamsAndTorchs() throws {
    let goldens = try GoldenStore.small()
    var checked = 0
    for (folder, framing) in [("istft", AudioFFT.Framing.demucs), ("torch_istft", .centred)] {
      for signal in goldens.names(below: folder, endingIn: "waveform") {
        let name = "\(folder)/\(signal)/waveform"
        let source = try XCTUnwrap(
          goldens.entry(name).inputs.keys.first { $0.hasSuffix("/spectrogram_real") }
        ).dropLast("/spectrogram_real".count)
        let shape = try goldens.entry("\(source)/spectrogram_real").shape
        let spectrogram = try Spectrogram(
          real: goldens.load("\(source)/spectrogram_real", as: Float.self),
          imag: goldens.load("\(source)/spectrogram_imag", as: Float.self, shape: shape),
          signals: shape[0], bins: shape[1], frames: shape[2])
        let expected = try waveform(goldens, name)
        let fft = try transform(goldens, "\(source)/parameters", framing)
        let actual = try fft.waveform(from: spectrogram, samples: expected.samples)
        assertWithinTolerance(actual.values, expected.values, name)
        XCTAssertGreaterThanOrEqual(snrDB(actual.values, reference: expected.values), 130, name)
        checked += 1
      }
    }
    XCTAssertGreaterThanOrEqual(checked, 4)
  }

  func testChunkPlansArePythons() throws {
    let goldens = try GoldenStore.small()
    let names = goldens.names(below: "chunk_plan", endingIn: "weights")
    XCTAssertGreaterThanOrEqual(names.filter { $0.hasPrefix("design_") }.count, 11)
    XCTAssertGreaterThanOrEqual(names.filter { $0.hasPrefix("demucs_") }.count, 5)
    for name in names {
      let folder = "chunk_plan/\(name)"
      let parameters = try goldens.load("\(folder)/parameters", as: Int64.self, shape: [3]).map(Int.init)
      let (segmentSamples, strideSamples, trackSamples) = (parameters[0], parameters[1], parameters[2])
      let plan = try plan(name, segmentSamples: segmentSamples, strideSamples: strideSamples)
      XCTAssertEqual(plan.strideSamples, strideSamples, name)

      let segments = Array(try plan.segments(trackSamples: trackSamples))
      XCTAssertEqual(
        segments.flatMap { [$0.contextStart, $0.contextStart + segmentSamples] }.map(Int64.init),
        try goldens.load("\(folder)/reads", as: Int64.self), name)
      XCTAssertEqual(
        segments.flatMap { [$0.start, $0.stop] }.map(Int64.init),
        try goldens.load("\(folder)/outputs", as: Int64.self, shape: [segments.count, 2]), name)

      let weights = segments.flatMap(\.weights)
      let kept = try goldens.entry("\(folder)/weights").slice
      XCTAssertEqual(kept?.stop ?? weights.count, weights.count, name)
      let positions = stride(from: kept?.start ?? 0, to: weights.count, by: kept?.step ?? 1)
      XCTAssertEqual(
        positions.map { weights[$0] }, try goldens.load("\(folder)/weights", as: Float.self), name)
    }
  }

  private func assertSpectrogram(
    _ goldens: GoldenStore, _ folder: String, of input: Waveform, framing: AudioFFT.Framing
  ) throws {
    let fft = try transform(goldens, "\(folder)/parameters", framing)
    let spectrogram = try fft.spectrogram(of: input)
    let kept = try goldens.entry("\(folder)/spectrogram_real").slice
    XCTAssertEqual(try goldens.entry("\(folder)/spectrogram_imag").slice, kept, folder)
    XCTAssertEqual(kept?.axis ?? "bin", "bin", folder)
    XCTAssertEqual(kept?.stop ?? fft.bins, fft.bins, folder)
    let bins = Array(stride(from: kept?.start ?? 0, to: fft.bins, by: kept?.step ?? 1))
    let shape = [input.signals, bins.count, spectrogram.frames]
    var (actual, expected): ([Float], [Float]) = ([], [])
    for (part, plane) in [("real", spectrogram.real), ("imag", spectrogram.imag)] {
      expected += try goldens.load("\(folder)/spectrogram_\(part)", as: Float.self, shape: shape)
      for signal in 0..<input.signals {
        for bin in bins {
          let start = (signal * fft.bins + bin) * spectrogram.frames
          actual += plane[start..<start + spectrogram.frames]
        }
      }
    }
    assertWithinTolerance(actual, expected, folder)
    XCTAssertGreaterThanOrEqual(snrDB(actual, reference: expected), 130, folder)
  }

  private func transform(
    _ goldens: GoldenStore, _ parameters: String, _ framing: AudioFFT.Framing
  ) throws -> AudioFFT {
    let sizes = try goldens.load(parameters, as: Int64.self, shape: [2]).map(Int.init)
    let fft = try AudioFFT(transformSamples: sizes[0], framing: framing)
    XCTAssertEqual(fft.hopSamples, sizes[1], parameters)
    return fft
  }

  private func waveform(_ goldens: GoldenStore, _ name: String) throws -> Waveform {
    try Waveform(goldens.load(name, as: Float.self), signals: goldens.entry(name).shape[0])
  }

  /// The plan that a golden is called after, such as `design_hann_1000000`.
  private func plan(_ name: String, segmentSamples: Int, strideSamples: Int) throws -> ChunkPlan {
    let words = name.split(separator: "_").map(String.init)
    let overlap = 1 - Double(strideSamples) / Double(segmentSamples)
    switch try XCTUnwrap(ChunkPlan.Name(rawValue: words[0]), name) {
    case .design:
      let ramp = try XCTUnwrap(ChunkPlan.Ramp(rawValue: words[1]), name)
      return try ChunkPlan.design(overlap: overlap, ramp: ramp, segmentSamples: segmentSamples)
    case .demucs:
      return try ChunkPlan.demucs(overlap: overlap, segmentSamples: segmentSamples)
    }
  }
}
