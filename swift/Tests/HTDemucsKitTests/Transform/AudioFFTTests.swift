import HTDemucsKit
import XCTest

final class AudioFFTTests: XCTestCase {
  // MARK: - Agreement with definitions

  func testEveryBinOfAShortTransformIsTheDefinition() throws {
    for framing in AudioFFT.Framing.allCases {
      for transformSamples in [16, 32, 64] {
        let fft = try AudioFFT(transformSamples: transformSamples, framing: framing)
        for samples in [transformSamples, 3 * transformSamples + 1, 200] {
          let input = noise(samples)
          let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
          let defined = DefinedSTFT(waveform: input, transformSamples: transformSamples, framing: framing)
          for bin in 0..<spectrogram.bins {
            for frame in 0..<spectrogram.frames {
              let expected = defined.value(bin: bin, frame: frame)
              let place = bin * spectrogram.frames + frame
              XCTAssertLessThanOrEqual(abs(Double(spectrogram.real[place]) - expected.real), 1e-6)
              XCTAssertLessThanOrEqual(abs(Double(spectrogram.imag[place]) - expected.imag), 1e-6)
            }
          }
        }
      }
    }
  }

  func testSomeBinsOfTheFullTransformAreTheDefinition() throws {
    let fft = try AudioFFT()
    let input = noise(44_101)
    let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
    XCTAssertEqual(spectrogram.frames, 44)
    let defined = DefinedSTFT(waveform: input, transformSamples: 4096, framing: .demucs)
    for bin in [0, 1, 2, 15, 16, 1000, 1024, 2046, 2047] {
      for frame in [0, 1, 31, 32, 42, 43] {
        let expected = defined.value(bin: bin, frame: frame)
        let place = bin * spectrogram.frames + frame
        XCTAssertLessThanOrEqual(abs(Double(spectrogram.real[place]) - expected.real), 2e-6)
        XCTAssertLessThanOrEqual(abs(Double(spectrogram.imag[place]) - expected.imag), 2e-6)
      }
    }
  }

  func testTheWindowIsThePeriodicHannFormula() {
    // torch.hann_window(8, dtype=torch.float64)
    let expected = [0, 0.146_446_609_406_726_3, 0.5, 0.853_553_390_593_273_7, 1]
    let window = AudioFFT.hannWindow(samples: 8)
    for (value, expectation) in zip(window, expected + expected[1..<4].reversed()) {
      XCTAssertEqual(value, expectation, accuracy: 1e-15)
    }
  }

  func testFourSquaredWindowsAddUpToOneAndAHalf() {
    let window = AudioFFT.hannWindow(samples: 4096)
    for n in 0..<1024 {
      let sum = (0..<4).reduce(0) { $0 + window[n + 1024 * $1] * window[n + 1024 * $1] }
      XCTAssertEqual(sum, 1.5, accuracy: 1e-14)
    }
  }

  func testFramesAreCountedAsUpstreamAndTorchDo() throws {
    let demucs = try AudioFFT()
    XCTAssertEqual(demucs.frameCount(samples: 441_000), 431)
    XCTAssertEqual(demucs.frameCount(samples: 343_980), 336)
    XCTAssertEqual(demucs.frameCount(samples: 4096), 4)
    XCTAssertEqual(demucs.frameCount(samples: 4097), 5)
    let centred = try AudioFFT(framing: .centred)
    XCTAssertEqual(centred.frameCount(samples: 4096), 5)
    XCTAssertEqual(centred.frameCount(samples: 5119), 5)
    XCTAssertEqual(demucs.bins, 2048)
    XCTAssertEqual(centred.bins, 2049)
  }

  // MARK: - Properties

  func testTheInverseUndoesAnythingWhenAllBinsAndFramesAreKept() throws {
    for transformSamples in [16, 256, 1024, 4096, 8192] {
      let fft = try AudioFFT(transformSamples: transformSamples, framing: .centred)
      for samples in [transformSamples, transformSamples + 1, 3 * transformSamples - 7, 20_011] {
        let input = try Waveform(noise(2 * samples, seed: UInt64(samples)), signals: 2)
        let back = try fft.waveform(from: fft.spectrogram(of: input), samples: samples)
        XCTAssertLessThanOrEqual(
          largestDifference(back.values, input.values), 2e-6, "\(transformSamples), \(samples)")
      }
    }
  }

  func testUpstreamsInverseUndoesAToneFurtherThanOneAndAHalfHopsFromBothEnds() throws {
    let fft = try AudioFFT()
    for samples in [8192, 10_000, 44_101] {
      let input = try Waveform(swellingTone(samples), signals: 1)
      let back = try fft.waveform(from: fft.spectrogram(of: input), samples: samples)
      let inner = 1536..<samples - 1536 - 1024
      XCTAssertLessThanOrEqual(largestDifference(back.values[inner], input.values[inner]), 1e-6)
    }
  }

  func testEnergyIsKeptUpToTheWindows() throws {
    let fft = try AudioFFT(framing: .centred)
    let silence = [Float](repeating: 0, count: 4096)
    let input = silence + noise(20_000) + silence
    let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
    var energy = 0.0
    for bin in 0..<spectrogram.bins {
      // Bins between 0 Hz and the Nyquist frequency stand for their mirror images too.
      let weight = bin == 0 || bin == spectrogram.bins - 1 ? 1.0 : 2.0
      for place in bin * spectrogram.frames..<(bin + 1) * spectrogram.frames {
        let (real, imag) = (Double(spectrogram.real[place]), Double(spectrogram.imag[place]))
        energy += weight * (real * real + imag * imag)
      }
    }
    let expected = 1.5 * input.reduce(0) { $0 + Double($1) * Double($1) }
    XCTAssertEqual(energy / expected, 1, accuracy: 1e-6)
  }

  func testSpectraOfRealWaveformsAreConjugateSymmetric() throws {
    // The kept half determines the other one: bin n - k is the conjugate of bin k, so that both ends are real.
    let fft = try AudioFFT(transformSamples: 256, framing: .centred)
    let waveform = noise(1000)
    let spectrogram = try fft.spectrogram(of: Waveform(waveform, signals: 1))
    for bin in [0, 128] {
      let row = spectrogram.imag[bin * spectrogram.frames..<(bin + 1) * spectrogram.frames]
      XCTAssertTrue(row.allSatisfy { $0 == 0 }, "bin \(bin)")
    }
    let defined = DefinedSTFT(waveform: waveform, transformSamples: 256, framing: .centred)
    for bin in [1, 57, 127] {
      let mirrored = defined.value(bin: 256 - bin, frame: 5)
      let place = bin * spectrogram.frames + 5
      XCTAssertEqual(Double(spectrogram.real[place]), mirrored.real, accuracy: 1e-5)
      XCTAssertEqual(Double(spectrogram.imag[place]), -mirrored.imag, accuracy: 1e-5)
    }
  }

  func testATransformIsLinear() throws {
    let fft = try AudioFFT()
    let (a, b) = (noise(9001, seed: 1), noise(9001, seed: 2))
    let sum = try fft.spectrogram(of: Waveform(zip(a, b).map { $0 + 0.5 * $1 }, signals: 1))
    let apart = try fft.spectrogram(of: Waveform(a + b, signals: 2))
    let half = apart.real.count / 2
    let expected = zip(apart.real.prefix(half), apart.real.suffix(half)).map { $0 + 0.5 * $1 }
    XCTAssertLessThanOrEqual(largestDifference(sum.real, expected), 2e-6)
  }

  func testAQuietWaveformLosesNothing() throws {
    let fft = try AudioFFT()
    let loud = noise(9001)
    let quiet = loud.map { $0 / 1024 }
    let loudSpectrogram = try fft.spectrogram(of: Waveform(loud, signals: 1))
    let quietSpectrogram = try fft.spectrogram(of: Waveform(quiet, signals: 1))
    XCTAssertEqual(quietSpectrogram.real, loudSpectrogram.real.map { $0 / 1024 })
    XCTAssertEqual(quietSpectrogram.imag, loudSpectrogram.imag.map { $0 / 1024 })
  }

  func testSignalsDoNotMix() throws {
    let fft = try AudioFFT()
    let samples = 40_001
    let input = try Waveform(noise(12 * samples), signals: 12)
    let spectrogram = try fft.spectrogram(of: input)
    let waveform = try fft.waveform(from: spectrogram, samples: samples)
    let size = spectrogram.bins * spectrogram.frames
    for signal in [0, 5, 11] {
      let alone = try fft.spectrogram(of: Waveform(Array(input[signal]), signals: 1))
      XCTAssertEqual(alone.real, Array(spectrogram.real[signal * size..<(signal + 1) * size]))
      XCTAssertEqual(alone.imag, Array(spectrogram.imag[signal * size..<(signal + 1) * size]))
      XCTAssertEqual(try fft.waveform(from: alone, samples: samples).values, Array(waveform[signal]))
    }
  }

  func testTasksMayShareATransform() async throws {
    let fft = try AudioFFT()
    let input = try Waveform(noise(20_000), signals: 2)
    let expected = try fft.spectrogram(of: input)
    try await withThrowingTaskGroup(of: Spectrogram.self) { group in
      for _ in 0..<10 { group.addTask { try fft.spectrogram(of: input) } }
      for try await spectrogram in group { XCTAssertEqual(spectrogram, expected) }
    }
  }

  // MARK: - Known signals

  func testSilenceIsSilentBothWays() throws {
    for framing in AudioFFT.Framing.allCases {
      let fft = try AudioFFT(framing: framing)
      let spectrogram = try fft.spectrogram(of: Waveform([Float](repeating: 0, count: 5000), signals: 1))
      XCTAssertTrue(spectrogram.real.allSatisfy { $0 == 0 })
      XCTAssertTrue(spectrogram.imag.allSatisfy { $0 == 0 })
      XCTAssertTrue(try fft.waveform(from: spectrogram, samples: 5000).values.allSatisfy { $0 == 0 })
    }
  }

  func testAnImpulseIsEquallyLoudInEveryBin() throws {
    let fft = try AudioFFT()
    var input = [Float](repeating: 0, count: 16_384)
    input[8000] = 1
    let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
    let window = AudioFFT.hannWindow(samples: 4096)
    for frame in 0..<spectrogram.frames {
      let place = 8000 - (frame * 1024 - 1536)
      let expected = window.indices.contains(place) ? window[place] / 64 : 0
      for bin in 0..<spectrogram.bins {
        let (real, imag) = (
          spectrogram.real[bin * spectrogram.frames + frame],
          spectrogram.imag[bin * spectrogram.frames + frame]
        )
        XCTAssertEqual(Double((real * real + imag * imag).squareRoot()), expected, accuracy: 1e-8)
      }
    }
  }

  func testAToneAppearsInItsBinWithTheDocumentedScale() throws {
    let fft = try AudioFFT()
    let input = cosine(bin: 100, transformSamples: 4096, samples: 44_100)
    let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
    let magnitudes = (0..<spectrogram.bins).map { bin in
      let place = bin * spectrogram.frames + 20
      return
        (spectrogram.real[place] * spectrogram.real[place] + spectrogram.imag[place] * spectrogram.imag[place])
        .squareRoot()
    }
    XCTAssertEqual(magnitudes.firstIndex(of: magnitudes.max() ?? .nan), 100)
    // A Hann window's mean is 1/2, half of a cosine lies at the positive frequency, the scale is 1 / 64.
    XCTAssertEqual(magnitudes[100], 4096 * 0.5 * 0.5 / 64, accuracy: 2e-5)
    XCTAssertLessThanOrEqual(magnitudes[103], 1e-5)
  }

  func testLoudFiniteAudioIsNotTakenForInfinite() throws {
    let fft = try AudioFFT()
    let input = noise(8192).map { $0 * 1e36 }
    XCTAssertEqual(input.reduce(0) { $0 + abs($1) }, .infinity, "the sum of magnitudes overflows")
    let spectrogram = try fft.spectrogram(of: Waveform(input, signals: 1))
    XCTAssertTrue(spectrogram.real.allSatisfy(\.isFinite))
  }

  // MARK: - Refusals

  func testOtherSizesThanPowersOfTwoFrom16AreRefused() {
    for samples in [-16, 0, 1, 8, 17, 1000, 4095] {
      assertThrows(AudioProcessingError.transformSize(samples: samples)) {
        _ = try AudioFFT(transformSamples: samples)
      }
    }
  }

  func testLessThanOneWindowIsRefused() throws {
    let fft = try AudioFFT()
    for samples in [0, 1, 4095] {
      assertThrows(AudioProcessingError.tooShort(samples: samples, requiredSamples: 4096)) {
        _ = try fft.spectrogram(of: Waveform([Float](repeating: 0, count: samples), signals: 1))
      }
    }
    let spectrogram = try Spectrogram(
      real: [Float](repeating: 0, count: 2048), imag: [Float](repeating: 0, count: 2048), signals: 1,
      bins: 2048,
      frames: 1)
    assertThrows(AudioProcessingError.tooShort(samples: 1000, requiredSamples: 4096)) {
      _ = try fft.waveform(from: spectrogram, samples: 1000)
    }
  }

  func testNaNAndInfinityAreRefusedWhereTheyAre() throws {
    let fft = try AudioFFT()
    for value in [Float.nan, .infinity, -.infinity] {
      for (signal, sample) in [(0, 0), (0, 4999), (1, 0), (1, 2345)] {
        var waveform = try Waveform(noise(10_000), signals: 2)
        waveform.values[signal * 5000 + sample] = value
        assertThrows(AudioProcessingError.nonFiniteSample(signal: signal, sample: sample)) {
          _ = try fft.spectrogram(of: waveform)
        }
      }
      let spectrogram = try fft.spectrogram(of: Waveform(noise(10_000), signals: 2))
      for (signal, bin, frame) in [(0, 0, 0), (0, 2047, 4), (1, 7, 3)] {
        let place = (signal * 2048 + bin) * 5 + frame
        var (real, imag) = (spectrogram, spectrogram)
        real.real[place] = value
        imag.imag[place] = value
        for damaged in [real, imag] {
          assertThrows(AudioProcessingError.nonFiniteSpectrogram(signal: signal, bin: bin, frame: frame)) {
            _ = try fft.waveform(from: damaged, samples: 5000)
          }
        }
      }
    }
  }

  func testASpectrogramOfAnotherShapeIsRefused() throws {
    let fft = try AudioFFT()
    let other = try AudioFFT(framing: .centred).spectrogram(of: Waveform(noise(8192), signals: 1))
    assertThrows(AudioProcessingError.binCount(bins: 2049, requiredBins: 2048)) {
      _ = try fft.waveform(from: other, samples: 8192)
    }
    let spectrogram = try fft.spectrogram(of: Waveform(noise(8192), signals: 1))
    for (samples, frames) in [(7168, 7), (8193, 9), (-1, 0)] {
      assertThrows(AudioProcessingError.frameCount(frames: 8, samples: samples, requiredFrames: frames)) {
        _ = try fft.waveform(from: spectrogram, samples: samples)
      }
    }
  }

  func testASpectrogramWithoutFramesHasNoWaveform() throws {
    let fft = try AudioFFT()
    let empty = try Spectrogram(real: [], imag: [], signals: 1, bins: 2048, frames: 0)
    assertThrows(AudioProcessingError.frameCount(frames: 0, samples: -5, requiredFrames: 0)) {
      _ = try fft.waveform(from: empty, samples: -5)
    }
    assertThrows(AudioProcessingError.tooShort(samples: 0, requiredSamples: 4096)) {
      _ = try fft.waveform(from: empty, samples: 0)
    }
  }

  func testBuffersOfAnotherSizeAreRefusedAndLeftAlone() throws {
    let fft = try AudioFFT()
    let size = 2048 * 5
    for (buffer, realCount, imagCount) in [("real", size - 1, size), ("imag", size, size + 1)] {
      var real = [Float](repeating: 7, count: realCount)
      var imag = [Float](repeating: 7, count: imagCount)
      let values = buffer == "real" ? realCount : imagCount
      assertThrows(AudioProcessingError.bufferSize(buffer: buffer, values: values, requiredValues: size)) {
        try noise(5000).withUnsafeBufferPointer { waveform in
          try real.withUnsafeMutableBufferPointer { real in
            try imag.withUnsafeMutableBufferPointer { imag in
              try fft.spectrogram(of: waveform, signals: 1, real: real, imag: imag)
            }
          }
        }
      }
      XCTAssertTrue((real + imag).allSatisfy { $0 == 7 })
    }
    assertThrows(AudioProcessingError.bufferSize(buffer: "waveform", values: 9, requiredValues: 8)) {
      _ = try Waveform([Float](repeating: 0, count: 9), signals: 2)
    }
  }
}
