import Accelerate
import os

/// One segment from samples to stems: STFT, network, inverse STFT.
///
/// Memory is made once. `@unchecked`: raw memory is never sendable to the compiler; whoever holds this takes turns, as the
/// processor's callers do.
package final class SegmentSeparator: @unchecked Sendable {
  /// Length of a segment in samples.
  package var segmentSamples: Int { model.segmentSamples }
  /// The stems that the network separates, in its order.
  package var sources: [StemType] { model.sources }

  /// The segment to be separated, `[2, segmentSamples]`.
  let input: SegmentInput
  private let model: any SegmentModel
  private let transform: AudioFFT
  private let smaller: SegmentSeparator?
  /// Made when a network's outputs lie so that they have to be copied.
  private var repacked: SplitStorage?

  /// - Parameters:
  ///   - model: The network.
  ///   - smaller: Separates a segment piece by piece where the network fails twice; of the same sources, with shorter
  ///     segments.
  /// - Throws: Nothing for the transform that every model has.
  package init(model: any SegmentModel, smaller: SegmentSeparator? = nil) throws {
    transform = try AudioFFT()
    self.model = model
    self.smaller = smaller
    input = SegmentInput(samples: model.segmentSamples, transform: transform)
  }

  /// Separates what stands in `input.waveform`.
  ///
  /// - Parameters:
  ///   - sources: Which of the network's sources, by their place.
  ///   - stems: Takes the stems, `[sources.count, 2, segmentSamples]`.
  ///   - segment: The segment's number, for errors.
  ///   - startSeconds: Where in the track it begins.
  /// - Returns: How long each stage took, and what went wrong on the way.
  /// - Throws: `AudioProcessingError.inferenceFailed`, `.unexpectedOutput`, `.nonFiniteOutput`, or `CancellationError`.
  func separate(
    sources: [Int], into stems: UnsafeMutableBufferPointer<Float>, segment: Int, startSeconds: Double
  ) async throws -> SegmentReport {
    var report = SegmentReport(index: segment, startSeconds: startSeconds)
    let clock = ContinuousClock()
    report.transformSeconds = try clock.measure {
      try transform.spectrogram(of: UnsafeBufferPointer(input.waveform), signals: 2, real: input.real, imag: input.imag)
    }.seconds
    log.debug("Segment \(segment): spectrogram of 2 x \(self.transform.bins) x \(self.input.frames)")

    let started = clock.now
    let output: any SegmentOutput
    do {
      output = try await predictTwice(&report)
    } catch let error as AudioProcessingError {
      guard case .inferenceFailed = error, let smaller else { throw error }
      log.warning("Segment \(segment) goes through segments of \(smaller.segmentSamples) samples")
      report.usedSmallerSegments = true
      report.failures += try await separate(throughSmaller: smaller, sources: sources, into: stems, segment: segment)
      report.networkSeconds = (clock.now - started).seconds
      return report
    }
    report.networkSeconds = (clock.now - started).seconds

    report.inverseSeconds = try clock.measure {
      try output.withStems { invert($0, sources: sources, into: stems) }
      try requireFinite(stems, sources: sources, segment: segment)
    }.seconds
    return report
  }

  /// Runs the network, and once more if it fails.
  private func predictTwice(_ report: inout SegmentReport) async throws -> any SegmentOutput {
    let segment = report.index
    for _ in 0..<2 {
      do {
        return try await model.predict(input)
      } catch let error as AudioProcessingError {
        // The model answered, and would answer the same again.
        throw error
      } catch {
        try Task.checkCancellation()
        let reason = failureReason(error)
        log.error("Inference failed in segment \(segment): \(reason, privacy: .public)")
        report.failures.append(reason)
      }
    }
    throw AudioProcessingError.inferenceFailed(segment: segment, reason: report.failures.last ?? "")
  }

  /// Treats the segment as a track of its own.
  ///
  /// - Returns: Why the network of shorter segments failed, once for each time.
  /// - Throws: As `separate`, errors with the number of this segment rather than of the shorter one.
  private func separate(
    throughSmaller smaller: SegmentSeparator, sources: [Int], into stems: UnsafeMutableBufferPointer<Float>,
    segment: Int
  ) async throws -> [String] {
    let plan = try ChunkPlan.design(segmentSamples: smaller.segmentSamples)
    let whole = try Waveform(Array(input.waveform), signals: 2)
    var position = 0
    let separation = TrackSeparation(
      separator: smaller, plan: plan, sources: sources, track: WaveformTrack(waveform: whole))
    do {
      let reports = try await separation.run { piece in
        guard let target = stems.baseAddress else { return }
        for signal in 0..<piece.signals {
          piece[signal].withUnsafeBufferPointer {
            guard let start = $0.baseAddress else { return }
            (target + signal * segmentSamples + position).update(from: start, count: piece.samples)
          }
        }
        position += piece.samples
      }
      return reports.flatMap(\.failures)
    } catch AudioProcessingError.inferenceFailed(_, let reason) {
      throw AudioProcessingError.inferenceFailed(segment: segment, reason: reason)
    } catch AudioProcessingError.nonFiniteOutput(let stem, _) {
      throw AudioProcessingError.nonFiniteOutput(stem: stem, segment: segment)
    }
  }

  private func invert(
    _ tensors: StemTensors, sources: [Int], into stems: UnsafeMutableBufferPointer<Float>
  ) {
    guard let target = stems.baseAddress else { return }
    let samples = segmentSamples
    for (place, source) in sources.enumerated() {
      for channel in 0..<2 {
        let signal = target + (2 * place + channel) * samples
        let (plane, binStride) = plane(of: tensors, source: source, channel: channel, waveform: signal)
        transform.invert([plane], binStride: binStride, samples: samples)
        let added = tensors.waveform.pointer(source, channel)
        vDSP_vadd(signal, 1, added, tensors.waveform.strides[2], signal, 1, vDSP_Length(samples))
      }
    }
  }

  /// A signal's spectrogram with the frames of a bin side by side: the network's own memory where it lies so, else a
  /// copy.
  private func plane(
    of tensors: StemTensors, source: Int, channel: Int, waveform: UnsafeMutablePointer<Float>
  ) -> (AudioFFT.Plane, binStride: Int) {
    let (real, imag) = (tensors.real, tensors.imag)
    let frames = input.frames
    if real.strides[3] == 1, imag.strides[3] == 1, real.strides[2] == imag.strides[2], real.strides[2] >= frames {
      let plane = AudioFFT.Plane(
        real: real.pointer(source, channel), imag: imag.pointer(source, channel), waveform: waveform)
      return (plane, real.strides[2])
    }
    let copies = repacked ?? SplitStorage(count: transform.bins * frames)
    repacked = copies
    for (tensor, copy) in [(real, copies.buffer.real), (imag, copies.buffer.imag)] {
      for bin in 0..<transform.bins {
        let row = tensor.pointer(source, channel, bin)
        for frame in 0..<frames { copy[bin * frames + frame] = row[frame * tensor.strides[3]] }
      }
    }
    return (AudioFFT.Plane(real: copies.buffer.real, imag: copies.buffer.imag, waveform: waveform), frames)
  }

  private func requireFinite(
    _ stems: UnsafeMutableBufferPointer<Float>, sources: [Int], segment: Int
  ) throws {
    for (place, source) in sources.enumerated() {
      let values = UnsafeBufferPointer(rebasing: stems[2 * place * segmentSamples..<2 * (place + 1) * segmentSamples])
      guard firstNonFinite(in: values) == nil else {
        throw AudioProcessingError.nonFiniteOutput(stem: self.sources[source], segment: segment)
      }
    }
  }
}
