import Foundation

/// Why audio could not be processed.
///
/// What a file, a model or an option can cause is a case; a broken invariant of the package traps.
public enum AudioProcessingError: Error, Equatable, Sendable {
  /// No transform has this many samples: it takes a power of two of at least 16.
  case transformSize(samples: Int)
  /// A waveform is shorter than one window.
  case tooShort(samples: Int, requiredSamples: Int)
  /// A waveform has a NaN or infinite sample: the first is `sample` of signal `signal`, both counted from 0.
  case nonFiniteSample(signal: Int, sample: Int)
  /// A spectrogram has a NaN or infinite value: the first is at these places, counted from 0.
  case nonFiniteSpectrogram(signal: Int, bin: Int, frame: Int)
  /// A buffer does not have as many values as its shape says.
  case bufferSize(buffer: String, values: Int, requiredValues: Int)
  /// A spectrogram has other bins than the transform.
  case binCount(bins: Int, requiredBins: Int)
  /// A spectrogram has other frames than a waveform of `samples` samples.
  case frameCount(frames: Int, samples: Int, requiredFrames: Int)

  /// Segments cannot overlap by this share of their length.
  case overlap(Double)
  /// A chunk plan was asked for the segments of a track without samples.
  case emptyTrack(samples: Int)
  /// A chunk plan needs segments of another length than the package has.
  case planDoesNotFit(plan: ChunkPlan.Name, planSegmentSamples: Int, packageSegmentSamples: Int)
  /// No chunk plan is made for segments of this length.
  case noPlan(packageSegmentSamples: Int)
}

extension AudioProcessingError: LocalizedError {
  /// What happened, and to which input.
  public var errorDescription: String? {
    switch self {
    case .transformSize(let samples):
      "No transform has \(samples) samples."
    case .tooShort(let samples, let requiredSamples):
      "A waveform of \(samples) samples is shorter than one window of \(requiredSamples)."
    case .nonFiniteSample(let signal, let sample):
      "Sample \(sample) of signal \(signal) is NaN or infinite."
    case .nonFiniteSpectrogram(let signal, let bin, let frame):
      "The spectrogram of signal \(signal) is NaN or infinite in bin \(bin) of frame \(frame)."
    case .bufferSize(let buffer, let values, let requiredValues):
      "Buffer \(buffer) has \(values) values, but its shape needs \(requiredValues)."
    case .binCount(let bins, let requiredBins):
      "A spectrogram of \(bins) bins does not belong to a transform of \(requiredBins) bins."
    case .frameCount(let frames, let samples, let requiredFrames):
      "A spectrogram of \(frames) frames cannot become \(samples) samples: those have \(requiredFrames) frames."
    case .overlap(let share):
      "Overlap \(share) is out of range."
    case .emptyTrack(let samples):
      "A track of \(samples) samples has no segments."
    case .planDoesNotFit(let plan, let planSegmentSamples, let packageSegmentSamples):
      "Chunk plan \(plan.rawValue) needs segments of \(described(planSegmentSamples)), "
        + "but this package's have \(described(packageSegmentSamples))."
    case .noPlan(let packageSegmentSamples):
      "No chunk plan is made for this package's segments of \(described(packageSegmentSamples))."
    }
  }

  /// What to do about it.
  public var recoverySuggestion: String? {
    switch self {
    case .transformSize:
      "Take a power of two of at least \(AudioFFT.minimumTransformSamples)."
    case .tooShort(_, let requiredSamples):
      "Extend it with silence to at least \(requiredSamples) samples."
    case .nonFiniteSample:
      "Repair the audio: every sample has to be a finite number."
    case .nonFiniteSpectrogram:
      "Check the model that computed it, or run it on other compute units."
    case .bufferSize(_, _, let requiredValues):
      "Give a buffer of \(requiredValues) values."
    case .binCount(_, let requiredBins):
      "Give \(requiredBins) bins, or take the transform that computed the spectrogram."
    case .frameCount(_, _, let requiredFrames):
      "Give \(requiredFrames) frames, or ask for the samples that these frames have."
    case .overlap:
      "Give at least 0 and less than 1."
    case .emptyTrack:
      "Give a track of at least one sample."
    case .planDoesNotFit(_, let planSegmentSamples, let packageSegmentSamples):
      remedies(planSegmentSamples: planSegmentSamples, packageSegmentSamples: packageSegmentSamples)
    case .noPlan:
      "Take a package of variant "
        + ChunkPlan.Name.allCases.map(\.standardVariant).joined(separator: " or ") + "."
    }
  }

  private func remedies(planSegmentSamples: Int, packageSegmentSamples: Int) -> String {
    let needed = ChunkPlan.Name.made(forSegmentSamples: planSegmentSamples)
    let fitting = ChunkPlan.Name.made(forSegmentSamples: packageSegmentSamples)
    let remedies = [
      needed.map { "a package of variant \($0.standardVariant)" }, fitting.map { "plan \($0.rawValue)" },
    ].compactMap(\.self)
    return remedies.isEmpty ? "Take another package." : "Take \(remedies.joined(separator: " or "))."
  }

  private func described(_ samples: Int) -> String {
    "\(samples) samples (" + String(format: "%g", Double(samples) / ChunkPlan.sampleRateHz) + " s)"
  }
}

/// Checks that a buffer has as many values as its shape says.
func requireCount(of buffer: String, _ values: Int, _ requiredValues: Int) throws {
  guard values == requiredValues else {
    throw AudioProcessingError.bufferSize(buffer: buffer, values: values, requiredValues: requiredValues)
  }
}
