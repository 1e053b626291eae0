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

  /// A file cannot be read as audio.
  case unreadableFile(path: String, reason: String)
  /// A file ends before its header says so.
  case truncatedFile(path: String, missing: String)
  /// Audio of so many channels cannot be made stereo.
  case channels(Int, reason: ChannelsRefusal)
  /// Audio cannot be resampled between these rates.
  case resampling(fromHz: Double, toHz: Double, reason: String)
  /// FLAC cannot hold floating-point samples.
  case floatingPointFLAC
  /// A file or folder cannot be written.
  case unwritable(path: String, reason: String)
  /// A stem would replace the file that it is separated from.
  case wouldReplaceInput(path: String)

  /// A stem was asked for that the model does not separate, or none at all.
  case unknownStem(String, available: [StemType])
  /// A stem was asked for twice.
  case repeatedStem(StemType)
  /// The network failed, and failed again when it was run once more.
  case inferenceFailed(segment: Int, reason: String)
  /// The network returned something else than its package promises.
  case unexpectedOutput(output: String, reason: String)
  /// The network returned NaN or infinity for a stem, in a segment counted from 0.
  case nonFiniteOutput(stem: StemType, segment: Int)

  /// Why channels cannot be made stereo.
  public enum ChannelsRefusal: Equatable, Sendable {
    /// There is no channel.
    case none
    /// There are more than two, and mixing them down was not asked for.
    case downmixIsOff
    /// There are more than two, and which is which is not known.
    case unknownLayout
  }
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
    case .unreadableFile(let path, let reason):
      "\(path) cannot be read: \(reason)."
    case .truncatedFile(let path, let missing):
      "\(path) is truncated or damaged: \(missing) of its samples are missing."
    case .channels(let channels, .none):
      "Audio of \(channels) channels cannot be separated."
    case .channels(let channels, .downmixIsOff):
      "There are \(channels) channels, and stems are stereo."
    case .channels(let channels, .unknownLayout):
      "Which of the \(channels) channels is which is not known."
    case .resampling(let fromHz, let toHz, let reason):
      "Audio at \(fromHz) Hz cannot be resampled to \(toHz) Hz: \(reason)."
    case .floatingPointFLAC:
      "FLAC cannot hold float32 samples."
    case .unwritable(let path, let reason):
      "\(path) cannot be written: \(reason)."
    case .wouldReplaceInput(let path):
      "The stem \(path) would replace the file that it is separated from."
    case .unknownStem(let name, let available):
      "\(name.isEmpty ? "No stem at all" : "Stem \(name)") was asked for, but this model separates "
        + available.map(\.rawValue).joined(separator: ", ") + "."
    case .repeatedStem(let stem):
      "Stem \(stem) was asked for twice."
    case .inferenceFailed(let segment, let reason):
      "The network failed twice in segment \(segment): \(reason)."
    case .unexpectedOutput(let output, let reason):
      "The network's output \(output) is not what its package promises: \(reason)."
    case .nonFiniteOutput(let stem, let segment):
      "The network returned NaN or infinity for \(stem) in segment \(segment)."
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
      "Give at least 0 and so much less than 1 that segments lie a sample or more apart."
    case .emptyTrack:
      "Give a track of at least one sample."
    case .planDoesNotFit(_, let planSegmentSamples, let packageSegmentSamples):
      remedies(planSegmentSamples: planSegmentSamples, packageSegmentSamples: packageSegmentSamples)
    case .noPlan:
      "Take a package of variant "
        + ChunkPlan.Name.allCases.map(\.standardVariant).joined(separator: " or ") + "."
    case .unreadableFile:
      "Give a readable audio file, such as WAV, FLAC or MP3."
    case .truncatedFile:
      "Get the file again, or write it anew with an audio editor."
    case .channels(_, .none):
      "Give a file of one or two channels."
    case .channels(_, .downmixIsOff):
      "Allow mixing them down (`allowsDownmix`, or --downmix), or give a stereo file."
    case .channels(_, .unknownLayout):
      "Give a WAV, AIFF, CAF or FLAC file of at most 6 channels, or a stereo file."
    case .resampling:
      "Give audio at a usual rate, such as 44100 or 48000 Hz."
    case .floatingPointFLAC:
      "Take int24 or int16, or a WAV file."
    case .unwritable:
      "Make room there, or choose another folder that you may write to."
    case .wouldReplaceInput:
      "Choose another folder."
    case .unknownStem(_, let available):
      "Choose among \(available.map(\.rawValue).joined(separator: ", "))."
    case .repeatedStem:
      "Name each stem once."
    case .inferenceFailed:
      "Take other compute units, close other apps if memory is short, or give a package of shorter segments to fall back to."
    case .unexpectedOutput:
      "Make or get the package again."
    case .nonFiniteOutput:
      "Take a package of variant float32, or compute units cpuAndGPU."
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
