import Foundation
import os

@testable import HTDemucsKit

/// A network that costs nothing: its stems are known functions of the mix.
///
/// With `layout` its outputs lie in memory as Core ML's may.
final class FakeModel: SegmentModel {
  /// How outputs lie in memory.
  enum Layout: CaseIterable {
    /// Without gaps.
    case dense
    /// Every row begins at a multiple of 16 elements.
    case paddedRows
    /// The bin is the fastest axis, the frame the next.
    case transposed
    /// Real parts without gaps, imaginary parts with padded rows.
    case mixed
  }

  /// Maps a segment's mix `[2][L]` to its stems `[S][2][L]`.
  typealias StemsOfMix = @Sendable ([[Float]]) -> [[[Float]]]

  /// What `predict` does instead of succeeding, call by call; after the last it succeeds.
  enum Misfortune: Sendable {
    case none
    case failure
    /// An answer that is not the contract's.
    case wrongOutput
    case nan(source: Int)
    case spike(source: Int)
    /// Waits until the task is cancelled.
    case hang
  }

  struct Failure: LocalizedError {
    var errorDescription: String? { "the model was made to fail" }
  }

  let sources: [StemType]
  let segmentSamples: Int
  private let layout: Layout
  private let stems: StemsOfMix
  /// Shares of the mix that go through the spectrogram, by source.
  private let spectrogramGains: [Float]
  private let misfortunes: OSAllocatedUnfairLock<[Misfortune]>
  private let calls = OSAllocatedUnfairLock(initialState: 0)

  var predictions: Int { calls.withLock { $0 } }

  init(
    _ sources: [StemType] = [.drums, .vocals], segmentSamples: Int, layout: Layout = .dense,
    spectrogramGains: [Float]? = nil, misfortunes: [Misfortune] = [], stems: @escaping StemsOfMix
  ) {
    self.sources = sources
    self.segmentSamples = segmentSamples
    self.layout = layout
    self.stems = stems
    self.spectrogramGains = spectrogramGains ?? sources.map { _ in 0 }
    self.misfortunes = OSAllocatedUnfairLock(initialState: misfortunes)
  }

  /// Stems that are multiples of the mix, through the waveform.
  static func gains(
    _ gains: [Float], sources: [StemType] = [.drums, .vocals], segmentSamples: Int, layout: Layout = .dense,
    misfortunes: [Misfortune] = []
  ) -> FakeModel {
    FakeModel(sources, segmentSamples: segmentSamples, layout: layout, misfortunes: misfortunes) { mix in
      gains.map { gain in mix.map { $0.map { gain * $0 } } }
    }
  }

  /// Stems that are multiples of the mix, through the spectrogram.
  static func spectrogramGains(
    _ gains: [Float], sources: [StemType] = [.drums, .vocals], segmentSamples: Int, layout: Layout = .dense
  ) -> FakeModel {
    FakeModel(sources, segmentSamples: segmentSamples, layout: layout, spectrogramGains: gains) { mix in
      gains.map { _ in mix.map { $0.map { _ in 0 } } }
    }
  }

  /// Two stems that depend on where in the segment a sample lies and on all else in the segment.
  ///
  /// With them, a segment that is placed, padded or trimmed in any other way gives other stems.
  static func contextDependent(segmentSamples: Int) -> FakeModel {
    FakeModel(segmentSamples: segmentSamples, stems: contextDependentStems)
  }

  func predict(_ input: SegmentInput) async throws -> any SegmentOutput {
    calls.withLock { $0 += 1 }
    let misfortune = misfortunes.withLock { $0.isEmpty ? Misfortune.none : $0.removeFirst() }
    switch misfortune {
    case .failure: throw Failure()
    case .wrongOutput: throw AudioProcessingError.unexpectedOutput(output: "stems_real", reason: "it is missing")
    case .hang:
      try await Task.sleep(for: .seconds(600))
    case .none, .nan, .spike: break
    }
    let output = FakeOutput(
      sources: sources.count, bins: input.real.count / 2 / input.frames, frames: input.frames,
      samples: segmentSamples, layout: layout)
    let mix = (0..<2).map { Array(input.waveform[$0 * segmentSamples..<($0 + 1) * segmentSamples]) }
    for (source, channels) in stems(mix).enumerated() {
      for (channel, samples) in channels.enumerated() {
        for (index, sample) in samples.enumerated() { output.waveform[source, channel, index] = sample }
      }
    }
    for (source, gain) in spectrogramGains.enumerated() where gain != 0 {
      for index in 0..<input.real.count {
        let (channel, rest) = index.quotientAndRemainder(dividingBy: input.real.count / 2)
        let (bin, frame) = rest.quotientAndRemainder(dividingBy: input.frames)
        output.real[source, channel, bin, frame] = gain * input.real[index]
        output.imag[source, channel, bin, frame] = gain * input.imag[index]
      }
    }
    if case .nan(let source) = misfortune { output.real[source, 1, 7, 1] = .nan }
    if case .spike(let source) = misfortune { output.waveform[source, 0, 3] = .infinity }
    return output
  }
}

func contextDependentStems(_ mix: [[Float]]) -> [[[Float]]] {
  let samples = mix[0].count
  let position = (0..<samples).map { 0.5 + Float($0) / Float(max(samples - 1, 1)) }
  let first = mix.map { channel in
    (0..<samples).map { channel[$0] * position[$0] + 0.25 * channel[samples - 1 - $0] }
  }
  let second = [mix[1], mix[0]].map { channel in
    (0..<samples).map { channel[$0] * position[samples - 1 - $0] - 0.125 * channel[($0 + samples / 3) % samples] }
  }
  return [first, second]
}

/// Tensors that own their memory, in any layout.
///
/// `@unchecked`: raw memory is never sendable to the compiler; it is written before anybody else has it.
private final class FakeOutput: SegmentOutput, @unchecked Sendable {
  final class Tensor {
    let shape: [Int]
    let strides: [Int]
    let memory: UnsafeMutableBufferPointer<Float>

    /// Gaps hold NaN, so that whoever reads one is found out.
    init(shape: [Int], strides: [Int]) {
      self.shape = shape
      self.strides = strides
      let last = zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
      memory = .zeros(last + 1)
      memory.update(repeating: .nan)
      var indices = [Int](repeating: 0, count: shape.count)
      repeat { memory[offset(indices)] = 0 } while advance(&indices)
    }

    deinit { memory.deallocate() }

    subscript(indices: Int...) -> Float {
      get { memory[offset(indices)] }
      set { memory[offset(indices)] = newValue }
    }

    var view: StridedTensor {
      guard let start = memory.baseAddress else { fatalError("a tensor has elements") }
      return StridedTensor(start: start, shape: shape, strides: strides)
    }

    private func offset(_ indices: [Int]) -> Int { zip(indices, strides).reduce(0) { $0 + $1.0 * $1.1 } }

    private func advance(_ indices: inout [Int]) -> Bool {
      for axis in shape.indices.reversed() {
        indices[axis] += 1
        if indices[axis] < shape[axis] { return true }
        indices[axis] = 0
      }
      return false
    }
  }

  let real: Tensor
  let imag: Tensor
  let waveform: Tensor

  init(sources: Int, bins: Int, frames: Int, samples: Int, layout: FakeModel.Layout) {
    func padded(_ count: Int) -> Int { (count + 16) / 16 * 16 }
    func strides(row: Int) -> [Int] { [2 * bins * row, bins * row, row, 1] }
    let shape = [sources, 2, bins, frames]
    let (realStrides, imagStrides) =
      switch layout {
      case .dense: (strides(row: frames), strides(row: frames))
      case .paddedRows: (strides(row: padded(frames)), strides(row: padded(frames)))
      case .transposed:
        ([2 * bins * frames, bins * frames, 1, bins], [2 * bins * frames, bins * frames, 1, bins])
      case .mixed: (strides(row: frames), strides(row: padded(frames)))
      }
    real = Tensor(shape: shape, strides: realStrides)
    imag = Tensor(shape: shape, strides: imagStrides)
    let step = layout == .transposed ? 2 : 1
    let row = layout == .dense ? step * samples : padded(step * samples)
    waveform = Tensor(shape: [sources, 2, samples], strides: [2 * row, row, step])
  }

  func withStems<Result>(_ body: (StemTensors) throws -> Result) throws -> Result {
    try body(StemTensors(real: real.view, imag: imag.view, waveform: waveform.view))
  }
}
