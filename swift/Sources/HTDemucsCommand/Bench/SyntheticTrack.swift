import HTDemucsKit
import os

/// White noise at a tenth of full scale, the same each time, made block by block: whatever its length, it takes no memory.
struct SyntheticTrack: AudioTrack {
  let samples: Int
  /// Time that was spent on making it, in seconds.
  let spent = TimeSpent()

  /// - Parameter seconds: Length, at the network's rate.
  init(seconds: Double) {
    samples = max(Int(seconds * ChunkPlan.sampleRateHz), 1)
  }

  func reader() throws -> any AudioTrackReader { Reader(samples: samples, spent: spent) }

  /// The whole track in memory, `[2, samples]`.
  func waveform() throws -> Waveform {
    var noise = Noise()
    return try Waveform((0..<2 * samples).map { _ in noise.next() }, signals: 2)
  }

  private final class Reader: AudioTrackReader {
    private var left: Int
    private var noise = Noise()
    private let spent: TimeSpent

    init(samples: Int, spent: TimeSpent) {
      left = samples
      self.spent = spent
    }

    func nextBlock() throws -> Waveform? {
      guard left > 0 else { return nil }
      return try spent.measure {
        let count = min(left, trackBlockSamples)
        left -= count
        let values = [Float](unsafeUninitializedCapacity: 2 * count) { buffer, filled in
          for index in 0..<2 * count { buffer[index] = noise.next() }
          filled = 2 * count
        }
        return try Waveform(values, signals: 2)
      }
    }
  }

  /// Source of the constants: Knuth, "The Art of Computer Programming", volume 2, section 3.3.4, table 1, line 26.
  private struct Noise {
    private var state: UInt64 = 1

    mutating func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1
      return Float(Int32(truncatingIfNeeded: state >> 32)) * (0.1 / 0x1p31)
    }
  }
}

/// Adds up time.
final class TimeSpent: Sendable {
  private let total = OSAllocatedUnfairLock(initialState: 0.0)

  /// In seconds, so far.
  var seconds: Double { total.withLock { $0 } }

  /// Runs `body` and adds the time that it takes.
  func measure<Result>(_ body: () throws -> Result) rethrows -> Result {
    let clock = ContinuousClock()
    let started = clock.now
    defer {
      let taken = (clock.now - started).seconds
      total.withLock { $0 += taken }
    }
    return try body()
  }
}
